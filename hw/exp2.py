"""Constants of a neuron from the logarithms of its time constants."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.learning.time_constants import (
    CONSTANT_WIDTH,
    EXP2,
    INDEX,
    LOG_BITS,
    LOG_WIDTH,
    MANTISSA,
)
from vle.hw.exponential import interpolated
from vle.hw.numeric import Delay

STAGES = 6
LEFT = CONSTANT_WIDTH - MANTISSA  # shifts beyond are clamped
GONE = MANTISSA + 3  # to the right: nothing is left


class Exp2(wiring.Component):
    """`2**((plus - minus) / 2**LOG_BITS)`, 6 clocks, a pair in each; clamped.

    Parameters
    ----------
    shift
        Bits of the result below its point.

    Members
    -------
    plus, minus
        Logarithms.
    o
        The power.
    """

    def __init__(self, shift: int):
        self.shift = shift
        super().__init__({"plus": In(LOG_WIDTH), "minus": In(LOG_WIDTH), "o": Out(CONSTANT_WIDTH)})

    def elaborate(self, platform) -> Module:
        m = Module()
        y = Signal(signed(LOG_WIDTH + 1))
        m.d.sync += y.eq(self.plus - self.minus)
        mantissa = interpolated(m, y[:LOG_BITS], EXP2.tolist(), INDEX, "exp2")
        whole = Delay(m, y[LOG_BITS:].as_signed(), "whole", first=1)[STAGES - 1]
        right = LEFT + MANTISSA - self.shift - whole
        most = LEFT + GONE
        places = Mux(right < 0, 0, Mux(right > most, most, right))[: most.bit_length()]
        rounded = ((Cat(C(0, LEFT + 1), mantissa) >> places) + 1) >> 1
        m.d.sync += self.o.eq(Mux(rounded[CONSTANT_WIDTH:].any(), ~0, rounded))
        return m
