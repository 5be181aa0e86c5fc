"""Payloads of slots as one stream of bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import BEGIN, LENGTH, LinkSpec
from vle.hw.link.token import shape

BYTE = data.StructLayout({"data": 8, "first": 1})  # `first` of its payload


def payload_stream():
    """Bytes of payloads."""
    return stream.Signature(shape(BYTE))


class SlotReader(wiring.Component):
    """Reads slots one after the other, one byte per clock, 5 clocks more for each slot.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    filled : In(1)
        The slot that comes next is there.
    forget : In(1)
        What was not read is lost.
    freed : Out(1)
        A slot has been read.
    done : Out
        Slots read, modulo twice their number.
    address, data : Out, In(8)
        To the memory of slots, whose answer comes 1 clock later.
    o : Out(payload_stream())
        The bytes.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "filled": In(1),
                "forget": In(1),
                "freed": Out(1),
                "done": Out(spec.slot_bits + 1),
                "address": Out(spec.slot_bits + spec.place_bits),
                "data": In(8),
                "o": Out(payload_stream()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bits = self.spec.place_bits
        # the byte at `place` is asked for again until it was taken
        place, following = Signal(bits, init=LENGTH), Signal(bits)
        standing, moves, told, reading = Signal(), Signal(), Signal(), Signal()
        last, over = Signal(bits), Signal()  # place of the last byte; it was taken
        m.d.comb += [
            following.eq(Mux(moves, place + 1, place)),
            moves.eq(Mux(reading, self.o.valid & self.o.ready, standing & ~told)),
            self.freed.eq(reading & over),
            self.address.eq(Cat(following, self.done[: self.spec.slot_bits])),
            self.o.p.data.eq(self.data),
            self.o.valid.eq(reading & ~over),
        ]
        m.d.sync += [place.eq(following), standing.eq(self.filled & ~self.freed)]
        with m.If(standing & ~told):
            m.d.sync += [last.eq(self.data - 1), told.eq(1)]
        with m.If(told & ~reading):
            m.d.sync += [reading.eq(1), over.eq(last == BEGIN - 1), self.o.p.first.eq(1)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [over.eq(place == last), self.o.p.first.eq(0)]
        with m.If(self.freed):
            m.d.sync += self.done.eq(self.done + 1)
        with m.If(self.freed | self.forget):
            m.d.sync += [told.eq(0), reading.eq(0), place.eq(LENGTH), standing.eq(0)]
        with m.If(self.forget):
            m.d.sync += self.done.eq(0)
        return m
