"""The learning signal of a neuron: rate times error, rounded stochastically."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.learning import noise
from vle.compiler.learning.errors import RIGHT
from vle.compiler.learning.rate import MANTISSA_WIDTH
from vle.compiler.learning.updates import SIGNAL_LEFT, SIGNAL_WIDTH
from vle.hw.align import right_amount, round_each, shift_coarse, shift_fine
from vle.hw.noise import draw, rotated
from vle.hw.numeric import Delay, multiply

LEFT_WIDTH = 12  # bits of a shift before it is limited
BELOW = noise.WIDTH + 1  # bits of a draw's offset below the point
STAGES = 3


def counted(m: Module, state: Value, valid: Value, first: Value, factor: int) -> Value:
    """Word of the row that was valid a clock ago, of which `noise.draw` makes its draw.

    `state + (row + 1) * factor`, for rows in order and a state that stands with the first.
    """
    base = Signal(32, name="base", reset_less=True)
    with m.If(valid):
        m.d.sync += base.eq(Mux(first, state, base) + factor)
    return base


def signal_draw(m: Module, state: Value, valid: Value, first: Value) -> Value:
    """Draw of a row's signals, a clock after `valid`."""
    return draw(m, counted(m, rotated(state, 8), valid, first, noise.SIGNAL), 0, "signal")


def round_stochastically(total: Value, odd: Value, shift: int) -> Value:
    """`total / 2**shift`, up with the probability of the fraction dropped; `odd = 2 * draw + 1`."""
    if shift <= 0:
        return total
    left = shift - BELOW
    return (total + (odd << left if left >= 0 else odd >> -left)) >> shift


class LearningSignal(wiring.Component):
    """`sat(sr(mantissa * error * 2**left))`, a new one in each clock, 3 clocks later.

    Parameters
    ----------
    error_width
        Bits of an error.

    Members
    -------
    mantissa, error, left
        Factors, the first with a sign, and how far the product is shifted to the left: stage 0.
    draw
        For the rounding: stage 2.
    signal, saturated
        Stage 3, and whether it was clamped.
    """

    def __init__(self, error_width: int):
        super().__init__(
            {
                "mantissa": In(signed(MANTISSA_WIDTH + 1)),
                "error": In(signed(error_width)),
                "left": In(signed(LEFT_WIDTH)),
                "draw": In(noise.WIDTH),
                "signal": Out(signed(SIGNAL_WIDTH)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        below, most = SIGNAL_LEFT + BELOW, SIGNAL_LEFT + RIGHT
        amount = Signal(range(most + 1), reset_less=True)
        m.d.sync += amount.eq(right_amount(self.left, SIGNAL_LEFT, most))
        product = multiply(m, self.error, self.mantissa, clocks=1)
        keep = SIGNAL_WIDTH + BELOW
        coarse, beyond = shift_coarse(m, product, below, amount, most=most, keep=keep, nothing=0)
        exact = shift_fine(coarse, Delay(m, amount, "amount")[1])
        odd, alone = Cat(C(1, 1), self.draw), Delay(m, C(0), "alone")
        rounded = round_each(m, alone, 0, exact, odd, [SIGNAL_WIDTH], beyond)
        m.d.comb += Cat(self.signal, self.saturated).eq(Cat(rounded))
        return m
