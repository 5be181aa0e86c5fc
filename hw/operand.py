"""The columns that an engine works on: input and own rates, as one matrix."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import C, Cat, Module, Mux, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine, Pass
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

    Members
    -------
    place, source, zero_x, zero_loop
        Layer by its place in the order of work; where the tile comes from; whether either frame
        reads as 0.
    x<k>, loop<k>
        Words of the frames of the layer at place `k`.
    o
        `simd` operands, lane 0 in the lowest bits.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        members = {
            "place": In(range(max(2, len(engine.passes)))),
            "source": In(Source),
            "zero_x": In(1),
            "zero_loop": In(1),
            "o": Out(engine.simd * engine.operand_width),
        }
        for k, spec in enumerate(engine.layers):
            members[f"x{k}"] = In(engine.simd * spec.x_format.width)
            if spec.recurrent:
                members[f"loop{k}"] = In(engine.simd * spec.rate_format.width)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        late, chosen = registers_first(platform), []
        for k, piece in enumerate(self.engine.passes):
            for words, take in self._sources(k, piece):
                taken = Delay(m, take, "taken")[int(late)]
                chosen.append(Mux(taken, words, 0))
        domain = m.d.comb if late else m.d.sync
        domain += self.o.eq(either(chosen))
        return m

    def _sources(self, k: int, piece: Pass) -> Iterator[tuple[Value, Value]]:
        """Words of the layer at place `k`, 0 in other lanes, and when to take them."""
        here = self.place == k
        x = self._extend(self[f"x{k}"], piece.spec.x_format.width)
        if not piece.spec.recurrent:
            yield x, here & ~self.zero_x
            return
        loop = self._extend(self[f"loop{k}"], piece.spec.rate_format.width)
        split = piece.spec.inputs % piece.simd * self.engine.operand_width
        from_x, from_loop = here & ~self.zero_x, here & ~self.zero_loop
        yield x[:split], from_x & (self.source != Source.LOOP)
        yield Cat(C(0, split), x[split:]), from_x & (self.source == Source.INPUT)
        yield loop[:split], from_loop & (self.source == Source.LOOP)
        yield Cat(C(0, split), loop[split:]), from_loop & (self.source != Source.INPUT)

    def _extend(self, words: Value, width: int) -> Value:
        """Lanes of the engine's width."""
        if width == self.engine.operand_width:
            return words
        lanes = [words.word_select(lane, width) for lane in range(self.engine.simd)]
        more = self.engine.operand_width - width
        return Cat(Cat(lane, lane[-1].replicate(more)) for lane in lanes)

    def __getitem__(self, name: str):
        return getattr(self, name)
