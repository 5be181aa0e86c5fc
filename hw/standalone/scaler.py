"""From samples to words of the input's format."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

SHIFT_WIDTH = 6


def scaled(sample: int, offset: int, shift: int, width: int) -> int:
    """Return `(sample - offset) * 2**shift`, half rounded up, clamped to `width` bits."""
    value = sample - offset
    value = value << shift if shift >= 0 else (value + (1 << -shift - 1)) >> -shift
    return max(-(1 << width - 1), min(value, (1 << width - 1) - 1))


class Scaler(wiring.Component):
    """`(sample - offset) * 2**shift`, half rounded up, clamped: one bit of shift per clock.

    Parameters
    ----------
    sample_width, width
        Bits of samples and words, both signed.

    Members
    -------
    i, o : In, Out(stream)
        Samples, words; one at a time, `2 + |shift|` clocks each.
    offset, shift : In
        As above. Left where `shift` is positive.
    """

    def __init__(self, sample_width: int, width: int) -> None:
        self.sample_width, self.width = sample_width, width
        super().__init__(
            {
                "i": In(stream.Signature(signed(sample_width))),
                "o": Out(stream.Signature(signed(width))),
                "offset": In(signed(sample_width)),
                "shift": In(signed(SHIFT_WIDTH)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        inner = max(self.sample_width + 2, self.width + 1)
        value, left, below = Signal(signed(inner)), Signal(signed(SHIFT_WIDTH)), Signal()
        low, high = -(1 << self.width - 1), (1 << self.width - 1) - 1
        rounded = Signal(signed(inner + 1))
        m.d.comb += [
            rounded.eq(value + below),
            self.o.payload.eq(Mux(rounded < low, low, Mux(rounded > high, high, rounded))),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    value.eq(self.i.payload - self.offset),
                    left.eq(self.shift),
                    below.eq(0),
                ]
                with m.If(self.i.valid):
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                with m.If(left < 0):  # the last bit that falls out is what rounds
                    m.d.sync += [Cat(below, value).eq(value), left.eq(left + 1)]
                with m.Elif(left > 0):
                    m.d.sync += left.eq(left - 1)
                    with m.If((value >= low) & (value <= high)):  # else it is clamped anyway
                        m.d.sync += value.eq(value << 1)
                with m.Else():
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
