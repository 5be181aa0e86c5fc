"""Payloads of slots as one stream of bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import BEGIN, LENGTH, LinkSpec
from vle.hw.link.token import shape

BYTE = data.StructLayout({"data": 8, "first": 1})  # `first` of its payload


def payload_stream():
    """Bytes of payloads."""
    return stream.Signature(shape(BYTE))


class SlotReader(wiring.Component):
    """Reads slots one after the other, one byte per clock, 4 clocks more for each slot.

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
        end, standing, moves = Signal(bits), Signal(), Signal()
        reading = Signal()  # the payload, no longer its length
        m.d.comb += [
            following.eq(place + moves),
            moves.eq(standing & (~reading | (self.o.valid & self.o.ready))),
            self.freed.eq(reading & (place == end)),
            self.address.eq(Cat(following, self.done[: self.spec.slot_bits])),
            self.o.p.data.eq(self.data),
            self.o.p.first.eq(place == BEGIN),
            self.o.valid.eq(standing & reading & ~self.freed),
        ]
        m.d.sync += [place.eq(following), standing.eq(self.filled & ~self.freed)]
        with m.If(standing & ~reading):
            m.d.sync += [end.eq(self.data), reading.eq(1)]
        with m.If(self.freed):
            m.d.sync += [self.done.eq(self.done + 1), reading.eq(0), place.eq(LENGTH)]
        with m.If(self.forget):
            m.d.sync += [self.done.eq(0), reading.eq(0), place.eq(LENGTH), standing.eq(0)]
        return m
