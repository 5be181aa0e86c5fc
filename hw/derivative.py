"""Derivatives of the activation circuits, for all layers of an engine."""

from __future__ import annotations

from amaranth.hdl import C, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.activation import Table
from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.derivative import PRIME_WIDTH, OfRate, OfTable, Pieces
from vle.hw.numeric import Delay, choose, choose_late, constant, multiply, round_shift, saturate

PRIME = signed(PRIME_WIDTH)
SLOPE_STAGE = 3  # of a table's slope, as a derivative


class Derivative(wiring.Component):
    """`r_prime`, in the clock of `engine.prime_stage`, from the potential at `prosp_stage` on.

    Parameters
    ----------
    engine
        Layers and formats.

    Members
    -------
    place, prosp
        Layer by its place in the order of work, and prospective potential: stage 0.
    delta
        Step of the table's piece: stage 2.
    flat, r
        Whether the rate is at a bound of the function's own; rate: stage of the rate.
    prime
        Derivative: stage `engine.prime_stage - engine.prosp_stage`.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.kinds = [learning.derivative for learning in engine.learning]
        super().__init__(
            {
                "place": In(range(max(2, len(engine.passes)))),
                "prosp": In(signed(engine.u_width)),
                "delta": In(signed(engine.rate_width + 1)),
                "flat": In(1),
                "r": In(signed(engine.rate_width)),
                "prime": Out(PRIME),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = self.engine
        self._place = Delay(m, self.place, "place")
        self._rate_stage = engine.rate_stage - engine.prosp_stage
        end = engine.prime_stage - engine.prosp_stage
        makers = {Pieces: self._of_pieces, OfTable: self._of_table, OfRate: self._of_rate}
        kinds = list(map(type, self.kinds))
        answers = {kind: makers[kind](m)[end] for kind in dict.fromkeys(kinds)}
        chosen = choose_late(m, self._place[end - 1], kinds, answers.__getitem__)
        m.d.comb += self.prime.eq(chosen)
        return m

    def _choose(self, m: Module, kind: type, stage: int, make) -> Value:
        """`make` of each layer's derivative of this kind; of the others nothing is asked."""
        known = [each for each in self.kinds if isinstance(each, kind)]
        keys = [each if isinstance(each, kind) else known[0] for each in self.kinds]
        return choose_late(m, self._place[stage - 1], keys, make)

    def _of_pieces(self, m: Module) -> Delay:
        stage = self._rate_stage
        positive = Delay(m, self.prosp > 0, "positive")[stage]

        def slope(kind: Pieces) -> Value:
            return Mux(positive, constant(kind.positive), constant(kind.negative))

        prime = Signal(PRIME, name="of_pieces")
        m.d.comb += prime.eq(Mux(self.flat, 0, self._choose(m, Pieces, stage, slope)))
        return Delay(m, prime, "of_pieces", first=stage)

    def _of_table(self, m: Module) -> Delay:
        pairs = list(zip(self.kinds, self.engine.layers, strict=True))
        specs = [spec.activation for kind, spec in pairs if isinstance(kind, OfTable)]
        tables = [s.activation if isinstance(s.activation, Table) else specs[0] for _, s in pairs]
        highs = [table.high for table in tables]
        beyond = choose(self.place, highs, lambda high: self.prosp > high)
        tail = Delay(m, beyond, "beyond")[SLOPE_STAGE - 1]

        def slope(kind: OfTable) -> Value:
            if kind.shift >= 0:
                raw = self.delta << kind.shift
            else:
                raw = round_shift(self.delta, -kind.shift)
            return saturate(Mux(tail, constant(kind.tail), raw), PRIME_WIDTH)[0]

        prime = Signal(PRIME, name="of_table")
        m.d.sync += prime.eq(self._choose(m, OfTable, SLOPE_STAGE - 1, slope))
        return Delay(m, prime, "of_table", first=SLOPE_STAGE)

    def _of_rate(self, m: Module) -> Delay:
        stage = self._rate_stage + 2
        square, r = multiply(m, self.r, self.r), Delay(m, self.r, "r")[2]

        def slope(kind: OfRate) -> Value:
            linear = C(0, signed(1)) if kind.linear_shift is None else r << kind.linear_shift
            exact = constant(kind.one) + linear - square
            return saturate(round_shift(exact, kind.shift), PRIME_WIDTH)[0]

        prime = Signal(PRIME, name="of_rate")
        m.d.sync += prime.eq(self._choose(m, OfRate, stage, slope))
        return Delay(m, prime, "of_rate", first=stage + 1)
