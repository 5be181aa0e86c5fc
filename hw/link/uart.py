"""Bytes over two wires: 8 bits, no parity, 1 stop bit."""

from __future__ import annotations

from fractions import Fraction

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from vle.hw.link.token import byte_stream

EXACT = Fraction(1, 1000)  # error of a bit that the other side need not see
LEAST = 8  # clocks of a bit


def bit_rate(clock_hz: int, baud: int) -> Fraction:
    """Return bits per clock, the simplest fraction that is exact to 1/1000.

    Raises
    ------
    ValueError
        Where the clock is too slow.
    """
    if not 0 < LEAST * baud <= clock_hz:
        raise ValueError(f"baud must be in 1..{clock_hz // LEAST} at {clock_hz} Hz, not {baud!r}")
    exact, limit = Fraction(baud, clock_hz), 1
    while abs((found := exact.limit_denominator(limit)) - exact) > EXACT * exact:
        limit *= 2
    return found


class Uart(wiring.Component):
    """A byte takes 10 bits; without a gap where the next one waits.

    Each bit is sampled in its middle, with which a sender may be 2 % too fast or slow. A start bit
    shorter than half is none.

    Parameters
    ----------
    clock_hz, baud
        Of the clock; bits per second.

    Members
    -------
    rx, tx : In(1), Out(1)
        The wires, high between bytes.
    i : In(byte_stream())
        Bytes to send.
    o : Out(byte_stream())
        Bytes that have come; one that is not taken before the next is lost.
    error : Out(1)
        A byte had no stop bit, or the line stays low. It is dropped.
    """

    def __init__(self, clock_hz: int, baud: int) -> None:
        self.rate = bit_rate(clock_hz, baud)
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "i": In(byte_stream()),
                "o": Out(byte_stream()),
                "error": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._send(m)
        self._receive(m)
        return m

    def _phase(self, m: Module, name: str) -> tuple[Signal, Signal]:
        """Return the phase within a bit, and whether the bit ends with this clock."""
        step, whole = self.rate.numerator, self.rate.denominator
        phase, ends = Signal(range(whole), name=f"{name}_phase"), Signal(name=f"{name}_ends")
        m.d.comb += ends.eq(phase >= whole - step)
        m.d.sync += phase.eq(Mux(ends, phase - (whole - step), phase + step))
        return phase, ends

    def _send(self, m: Module) -> None:
        bits, left = Signal(9, init=-1), Signal(range(11))
        phase, ends = self._phase(m, "send")
        m.d.comb += [
            self.tx.eq(bits[0]),
            self.i.ready.eq((left == 0) | ((left == 1) & ends)),
        ]
        with m.If(ends & (left != 0)):
            m.d.sync += [bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [bits.eq(Cat(0, self.i.payload)), left.eq(10)]
            with m.If(left == 0):
                m.d.sync += phase.eq(0)

    def _receive(self, m: Module) -> None:
        line, bits, left = Signal(init=1), Signal(8), Signal(range(10))
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        phase, ends = self._phase(m, "receive")
        m.d.sync += self.error.eq(0)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"), m.If(~line):
                m.d.sync += [phase.eq(self.rate.denominator // 2), left.eq(9)]
                m.next = "BITS"
            with m.State("BITS"), m.If(ends):
                m.d.sync += [bits.eq(Cat(bits[1:], line)), left.eq(left - 1)]
                with m.If((left == 9) & line):
                    m.next = "IDLE"
                with m.If(left == 0):
                    m.d.sync += [bits.eq(bits), self.error.eq(~line)]
                    m.next = "HIGH"
                    with m.If(line):
                        m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(bits)]
            with m.State("HIGH"), m.If(line):
                m.next = "IDLE"
