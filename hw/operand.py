"""The columns that an engine works on: input and own rates, as one matrix."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine, Pass


class Source(enum.Enum, shape=2):
    """Where the columns of a tile come from."""

    INPUT = 0
    BOTH = 1
    LOOP = 2


class Operand(wiring.Component):
    """Choice of the frame words of the layer at work, registered: latency 1 clock.

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
        with m.Switch(self.place):
            for k, piece in enumerate(self.engine.passes):
                with m.Case(k) if k + 1 < len(self.engine.passes) else m.Default():
                    self._choose(m, k, piece)
        return m

    def _choose(self, m: Module, k: int, piece: Pass) -> None:
        x = self._extend(self[f"x{k}"], piece.spec.x_format.width, self.zero_x)
        if not piece.spec.recurrent:
            m.d.sync += self.o.eq(x)
            return
        loop = self._extend(self[f"loop{k}"], piece.spec.rate_format.width, self.zero_loop)
        split = piece.spec.inputs % piece.simd * self.engine.operand_width
        with m.Switch(self.source):
            with m.Case(Source.INPUT):
                m.d.sync += self.o.eq(x)
            with m.Case(Source.BOTH):
                m.d.sync += self.o.eq(Cat(x[:split], loop[split:]))
            with m.Default():
                m.d.sync += self.o.eq(loop)

    def _extend(self, words: Value, width: int, zero: Value) -> Value:
        """Lanes of the engine's width."""
        if width < self.engine.operand_width:
            lanes = [words.word_select(lane, width) for lane in range(self.engine.simd)]
            more = self.engine.operand_width - width
            words = Cat(Cat(lane, lane[-1].replicate(more)) for lane in lanes)
        return Mux(zero, 0, words)

    def __getitem__(self, name: str):
        return getattr(self, name)
