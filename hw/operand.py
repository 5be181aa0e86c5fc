"""The columns that an engine works on: input and own rates, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Frames
from vle.compiler.circuit.geometry import Engine
from vle.hw.numeric import Delay, either
from vle.hw.primitives import registers_first


class Source(enum.Enum, shape=2):
    """Where the columns of a tile come from."""

    INPUT = 0
    BOTH = 1
    LOOP = 2


class Operand(wiring.Component):
    """Choice of the frame words of the layer at work; latency 1 clock.

    Where memories are better registered at once (`registers_first`) the words come with the clock
    of the operands, and only what chooses is registered here.

    The tile in which a layer's inputs end and its own rates begin takes lanes of both.

    Parameters
    ----------
    engine
        Layers and widths.
    heard
        Memories of the frames that the engine reads.

    Members
    -------
    place, source, zero_x, zero_loop
        Layer by its place in the order of work; where the tile comes from; whether either frame
        reads as 0.
    words<k>
        Of memory `k` of those.
    o
        `simd` operands, lane 0 in the lowest bits.
    """

    def __init__(self, engine: Engine, heard: Sequence[Frames]):
        self.engine, self.heard = engine, heard
        words = {f"words{k}": In(engine.simd * frames.width) for k, frames in enumerate(heard)}
        super().__init__(
            {
                **words,
                "place": In(range(max(2, len(engine.passes)))),
                "source": In(Source),
                "zero_x": In(1),
                "zero_loop": In(1),
                "o": Out(engine.simd * engine.operand_width),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        late, lanes, found = registers_first(platform), range(self.engine.simd), []
        for k, frames in enumerate(self.heard):
            words = getattr(self, f"words{k}")
            take = Delay(m, Cat(self._take(frames, lane) for lane in lanes), f"take{k}")[int(late)]
            masked = (Mux(take[lane], self._lane(words, frames.width, lane), 0) for lane in lanes)
            found.append(Cat(masked))
        domain = m.d.comb if late else m.d.sync
        domain += self.o.eq(either(found))
        return m

    def _take(self, frames: Frames, lane: int) -> Value:
        """Whether a lane of the memory's word is an operand."""
        source, zero = self.source, self.zero_loop if frames.recurrent else self.zero_x
        sinks, taken = {edge.sink for edge in frames.edges}, []
        for place, piece in enumerate(self.engine.passes):
            if piece.layer in sinks:
                own = lane >= piece.spec.inputs % piece.simd
                whole = Source.LOOP if frames.recurrent else Source.INPUT
                shared = (source == Source.BOTH) & (own == frames.recurrent)
                taken.append((self.place == place) & ((source == whole) | shared))
        return either(taken) & ~zero

    def _lane(self, words: Value, width: int, lane: int) -> Value:
        """Return a lane, of the engine's width."""
        word, more = words.word_select(lane, width), self.engine.operand_width - width
        return Cat(word, word[-1].replicate(more)) if more else word
