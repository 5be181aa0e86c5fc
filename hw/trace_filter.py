"""One trace per pair of time constants: the arithmetic of filtered inputs."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine, Pass
from vle.compiler.learning.traces import GUARD
from vle.hw.numeric import Delay, below_point, choose, multiply, saturate_each

STAGES = 4


class TraceFilter(wiring.Component):
    """`advance` of the specification, a column per clock, 4 clocks.

    Parameters
    ----------
    engine
        Widths.
    passes
        Those that hear filtered inputs.

    Members
    -------
    turn
        Which of them; it stands, as do `alpha` and `rho`, of its pair of time constants.
    z, low
        An input and the low pass before: stage 0.
    low_new, bar, over
        Stage 4; `over`: the filtered input was clamped.
    """

    def __init__(self, engine: Engine, passes: list[Pass]):
        self.engine, self.passes = engine, passes
        low = signed(engine.operand_width + GUARD)
        super().__init__(
            {
                "turn": In(range(max(2, len(passes)))),
                "z": In(signed(engine.operand_width)),
                "low": In(low),
                "alpha": In(engine.constant_width),
                "rho": In(engine.constant_width),
                "low_new": Out(low),
                "bar": Out(signed(engine.operand_width)),
                "over": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        gap = Signal(signed(len(self.low) + 1))
        m.d.sync += gap.eq((self.z << GUARD) - self.low)
        low = Delay(m, self.low, "low")[3]
        m.d.sync += self.low_new.eq(self._moved(multiply(m, gap, self.alpha), low))
        exact = self._ahead(multiply(m, gap, self.rho), low)
        widths = [piece.learning.heard_width(piece.spec) for piece in self.passes]
        clamped = saturate_each(self.turn, exact, widths)
        wide = max(widths)
        m.d.sync += [self.bar.eq(clamped[:wide].as_signed()), self.over.eq(clamped[wide])]
        return m

    def _moved(self, product: Value, low: Value) -> Value:
        """`low + rnd(alpha * gap / 2**alpha_shift)`."""
        shifts = [piece.spec.alpha_shift for piece in self.passes]
        return choose(self.turn, shifts, lambda s: (product + below_point(low, s)) >> s)

    def _ahead(self, product: Value, low: Value) -> Value:
        """`rnd((low * 2**rho_shift + rho * gap) / 2**(rho_shift + GUARD + drop))`."""
        shifts = [(p.spec.rho_shift, GUARD + p.learning.bar_drop) for p in self.passes]

        def narrowed(key: tuple[int, int]) -> Value:
            shift, more = key
            half = 1 << shift + more >> 1
            return (product + (low << shift) + half) >> shift + more

        return choose(self.turn, shifts, narrowed)
