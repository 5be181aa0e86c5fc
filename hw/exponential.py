"""Powers of two with a fraction: `e**r` as a mantissa and a shift."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import C, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.fixed import Fixed
from vle.compiler.learning.top import EXP2, FRACTION, INDEX, LOG2E, LOG2E_SHIFT, MANTISSA
from vle.hw.numeric import Delay, multiply, round_shift
from vle.hw.primitives.memory import RegisteredMemory

STAGES = 7


def interpolated(
    m: Module, fraction: Value, entries: list[int], index_bits: int, kind: str
) -> Value:
    """Entry of a table and its share of the way to the next, by the fraction; 4 clocks.

    There is one entry more than the upper `index_bits` of the fraction choose; `kind` is that of
    the product.
    """
    steps = [high - low for low, high in pairwise(entries)]
    rest_bits = len(fraction) - index_bits
    index, rest = fraction[rest_bits:], Delay(m, fraction[:rest_bits], "rest")[2]
    words = []
    for name, table in (("entry", entries[:-1]), ("step", steps)):
        memory = RegisteredMemory(max(table).bit_length(), len(table), table, written=False)
        m.submodules[name] = memory
        m.d.comb += memory.r_addr.eq(index)
        words.append(memory.r_data)
    entry, step = words
    part = multiply(m, step, rest, clocks=1, kind=kind)
    answer = Signal(max(entries).bit_length(), name="mantissa")
    m.d.sync += answer.eq(Delay(m, entry, "entry")[1] + round_shift(part, rest_bits))
    return answer


class Exponential(wiring.Component):
    """`e**r = mantissa * 2**whole`, 7 clocks, a rate in each.

    Parameters
    ----------
    format
        Of rates.

    Members
    -------
    r
        A rate.
    whole, mantissa
        Shift, and `2**f` with `MANTISSA` bits below the point.
    """

    def __init__(self, format: Fixed):
        self.format = format
        self.shift = LOG2E_SHIFT + format.f_bits - FRACTION
        largest = (-format.low * LOG2E >> self.shift) + 1 >> FRACTION
        super().__init__(
            {
                "r": In(signed(format.width)),
                "whole": Out(signed(max(2, largest.bit_length() + 2))),
                "mantissa": Out(MANTISSA + 2),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        product = multiply(m, self.r, C(LOG2E, LOG2E.bit_length()))
        exact = round_shift(product, self.shift)
        z = Signal(signed(len(self.whole) + FRACTION))
        m.d.sync += z.eq(exact)
        m.d.comb += [
            self.mantissa.eq(interpolated(m, z[:FRACTION], EXP2.tolist(), INDEX, "exponential")),
            self.whole.eq(Delay(m, z[FRACTION:].as_signed(), "whole", first=3)[STAGES]),
        ]
        return m
