"""Payloads of slots as one stream of bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import BEGIN, LinkSpec

BYTE = data.StructLayout({"data": 8, "first": 1})  # `first` of its payload


class SlotReader(wiring.Component):
    """Reads slots one after the other, one byte per clock, 2 clocks more for each slot.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    filled : In(1)
        The slot that comes next is there.
    freed : Out(1)
        A slot has been read.
    done : Out
        Slots read, modulo twice their number.
    address, data : Out, In(8)
        To the memory of slots, whose answer comes 1 clock later.
    o : Out(stream.Signature(BYTE))
        The bytes.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "filled": In(1),
                "freed": Out(1),
                "done": Out(spec.slot_bits + 1),
                "address": Out(spec.slot_bits + spec.place_bits),
                "data": In(8),
                "o": Out(stream.Signature(BYTE)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bits = self.spec.place_bits
        # the byte at `place` is asked for again until it was taken
        place, following = Signal(bits, init=-1), Signal(bits)
        end, standing, finish = Signal(bits), Signal(), Signal()
        m.d.comb += [
            following.eq(place),
            self.address.eq(Cat(following, self.done[: self.spec.slot_bits])),
            self.freed.eq(finish),
            self.o.p.data.eq(self.data),
            self.o.p.first.eq(place == BEGIN),
        ]
        m.d.sync += [place.eq(following), standing.eq(self.filled & ~finish)]
        with m.FSM():
            with m.State("LENGTH"), m.If(standing):
                m.d.sync += end.eq(self.data)
                m.d.comb += following.eq(BEGIN)
                m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [finish.eq(place == end), self.o.valid.eq(standing & ~finish)]
                with m.If(finish):
                    m.d.comb += following.eq(-1)
                    m.d.sync += self.done.eq(self.done + 1)
                    m.next = "LENGTH"
                with m.Elif(standing & self.o.ready):
                    m.d.comb += following.eq(place + 1)
        return m
