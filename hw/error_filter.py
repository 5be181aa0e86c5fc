"""The error filter of an engine's neurons: derivative, prospective error, low pass."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import GUARD
from vle.hw.align import round_each
from vle.hw.numeric import Delay, below_point, choose_late, constant, multiply, saturate_shifted


class ErrorFilter(wiring.Component):
    """One step of the filter; `vle.compiler.learning.errors.ErrorFilter` has the equations.

    `inst_e` is known late, `low` early, so the prospective error is computed as
    `(low * 2**kappa_shift - kappa * low) + kappa * inst_e * 2**guard`. With `L = 1` where errors
    recur on this engine, and 0 otherwise:

    Parameters
    ----------
    engine
        Layers and formats.

    Members
    -------
    place, low, kappa
        Layer by its place in the order of work; `v` in the units of this step: stage 0.
    s, prime
        Sum of the parts and derivative: stage L.
    flat
        The derivative is 0: stage L + 1.
    inst_bits, inst_over, inst_e
        Bits used by the word before it is clamped, whether it was, it: stage L + 2.
    beta
        Stage L + 3.
    e_bits, e_over, e
        Likewise: stage L + 5.
    v_bits, v
        New low-passed error and its bits: stage L + 6.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.delay = int(any(piece.loops for piece in engine.passes))
        self.widths = [learning.error_width for learning in engine.learning]
        self.guards = [learning.v_width - learning.error_width for learning in engine.learning]
        error, v = signed(engine.error_width), signed(engine.v_width)
        self.inst_width = engine.error_width + GUARD + PRIME_WIDTH
        self.e_width = engine.v_width + engine.constant_width + 2
        super().__init__(
            {
                "place": In(range(max(2, len(engine.passes)))),
                "low": In(v),
                "kappa": In(engine.constant_width),
                "s": In(signed(engine.error_width + GUARD)),
                "prime": In(signed(PRIME_WIDTH)),
                "flat": In(1),
                "inst_bits": Out(self.inst_width),
                "inst_over": Out(1),
                "inst_e": Out(error),
                "beta": In(engine.constant_width),
                "e_bits": Out(self.e_width),
                "e_over": Out(1),
                "e": Out(error),
                "v_bits": Out(engine.v_width),
                "v": Out(v),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        place, low = Delay(m, self.place, "place"), Delay(m, self.low, "low")
        kappa, delay = Delay(m, self.kappa, "kappa"), self.delay
        self._instant(m, place)
        base = self._base(m, place, low, kappa[0])
        at = delay + 2
        product = multiply(m, self.inst_e, kappa[at], clocks=1)
        total = Signal(signed(self.e_width + 1), reset_less=True)
        late = Delay(m, base, "base", first=3)[at + 1]
        m.d.sync += total.eq(late + choose_late(m, place[at], self.guards, product.shift_left))
        self._prospective(m, Delay(m, place[at + 1], "of_total"), Delay(m, total, "total"))
        self._low_pass(m, place, low, at)
        return m

    def _each(self, name: str) -> list[int]:
        return [getattr(learning, name) for learning in self.engine.learning]

    def _instant(self, m: Module, place: Delay) -> None:
        """`inst_e = sat(rnd(prime * s / 2**(prime_shift + GUARD)))`."""
        product = multiply(m, self.s, self.prime, clocks=1)
        halves = [shift + GUARD - 1 for shift in self._each("prime_shift")]
        twice, stage = Signal(signed(self.inst_width + 1), name="inst_twice"), self.delay + 1
        shifted = choose_late(m, place[stage - 1], halves, product.shift_right)
        m.d.comb += twice.eq(Mux(self.flat, 0, shifted))
        both = round_each(m, place, stage, twice, C(1, 1), self.widths)
        m.d.comb += Cat(self.inst_e, self.inst_over).eq(Cat(both))
        exact = Signal(signed(self.inst_width + 1), name="inst_exact")
        m.d.comb += exact.eq((Delay(m, twice, "inst_twice")[1] + 1) >> 1)
        m.d.comb += self.inst_bits.eq(bits_used(exact))

    def _base(self, m: Module, place: Delay, low: Delay, kappa: Value) -> Value:
        """Return what of `e` is known without `inst_e`, and the half to round it: stage 3."""
        product = multiply(m, low[0], kappa)
        shifts = self._each("kappa_shift")
        halves = [1 << s + guard >> 1 for s, guard in zip(shifts, self.guards, strict=True)]
        half = choose_late(m, place[0], halves, constant)
        known, base = (
            Signal(signed(self.e_width + 1), name=n, reset_less=True) for n in ("known", "base")
        )
        m.d.sync += known.eq(choose_late(m, place[0], shifts, low[1].shift_left) + half)
        m.d.sync += base.eq(known - product)
        return base

    def _prospective(self, m: Module, place: Delay, total: Delay) -> None:
        """`e`, clamped, from its sum; the bits of the sum a clock later. Its place comes before."""
        shifts = [
            shift + guard
            for shift, guard in zip(self._each("kappa_shift"), self.guards, strict=True)
        ]
        exact = Signal(signed(self.e_width + 1), name="e_exact")
        m.d.comb += exact.eq(choose_late(m, place[1], shifts, total[1].shift_right))
        m.d.comb += self.e_bits.eq(bits_used(exact))
        clamped = saturate_shifted(m, place[0], total[0], shifts, self.widths)
        m.d.sync += Cat(self.e, self.e_over).eq(clamped)

    def _low_pass(self, m: Module, place: Delay, low: Delay, at: int) -> None:
        """`v = low + rnd(beta * (inst_e * 2**guard - low) / 2**beta_shift)`."""
        f = Signal(signed(self.engine.v_width + 1), reset_less=True)
        inst_e = choose_late(m, place[at - 1], self.guards, self.inst_e.shift_left)
        m.d.sync += f.eq(inst_e - low[at])
        product, shifts = multiply(m, f, self.beta), self._each("beta_shift")
        before = place[at + 2]
        added = choose_late(m, before, shifts, lambda s: below_point(low[at + 3], s))
        m.d.sync += self.v.eq(choose_late(m, before, shifts, (product + added).shift_right))
        high = choose_late(m, place[at + 3], self.guards, self.v.shift_right)
        m.d.comb += self.v_bits.eq(bits_used(high))


def bits_used(word: Value) -> Value:
    """Bits of a signed word that differ from its sign."""
    return (word ^ word[-1].replicate(len(word)))[:-1]
