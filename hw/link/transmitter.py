"""Frames to the host: which comes next, its header, its payload, its checksum."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.hw.link.token import TOKEN, Kind

# what waits to be said, in the order in which it is
WHAT = ("welcome", "refused", "gap", "response", "stream", "ack")
DUE = data.StructLayout(dict.fromkeys(WHAT, 1))
WELCOME_BYTES = 4  # at the end of the memory of replies
EVERYTHING, REPLIES = 0b111111, 0b001001  # of what is due: a welcome, a response
KINDS = (Kind.WELCOME, Kind.REFUSED, Kind.GAP, Kind.RESPONSE, Kind.OUTPUT, Kind.ACK)


class Transmitter(wiring.Component):
    """Sends one frame after the other, one byte per clock, some 8 clocks besides for each.

    The header is taken when a frame begins: it tells of one moment.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    due : In(DUE)
        What there is to say.
    sent : Out(DUE)
        What is being said, for one clock.
    session, ack, room : In
        Of the header.
    seqs : In(8) per kind
        `seq` of each kind, as in `DUE`.
    slot : In
        Of the stream frame.
    reply_end : In
        Place behind the payload of the response.
    replying, hold : Out(1), In(1)
        The memory of replies is being read; it is another's.
    idle : Out(1)
        No frame is being made.
    address, data, reply_address, reply_data
        To the memories of slots and replies, which answer 1 clock later.
    free : In(1)
        The line has room for a frame.
    o : Out(stream.Signature(TOKEN))
        To the line.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "due": In(DUE),
                "sent": Out(DUE),
                "session": In(8),
                "ack": In(8),
                "room": In(4),
                "seqs": In(8).array(len(KINDS)),
                "slot": In(spec.slot_bits),
                "reply_end": In(spec.place_bits),
                "replying": Out(1),
                "hold": In(1),
                "idle": Out(1),
                "address": Out(spec.slot_bits + spec.place_bits),
                "data": In(8),
                "reply_address": Out(spec.place_bits),
                "reply_data": In(8),
                "free": In(1),
                "o": Out(stream.Signature(TOKEN)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, bits = self.spec, self.spec.place_bits
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        place, following, end = Signal(bits), Signal(bits), Signal(bits)
        header, count, moves = Signal(32), Signal(2), Signal()
        slot = Signal(spec.slot_bits)
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            following.eq(place),
            self.address.eq(Cat(following, Mux(self.idle, self.slot, slot))),
            self.reply_address.eq(following),
            crc.data.eq(self.o.p.data),
        ]
        m.d.sync += place.eq(following)
        with m.If(moves):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.comb += crc.start.eq(moves)
                with m.If(self.free & moves):
                    self._choose(m, header, following, end, slot)
            with m.State("LENGTH"):
                m.d.sync += end.eq(self.data)
                m.d.comb += following.eq((1 << bits) - 2 if spec.learns else 0)
                m.next = "KIND" if spec.learns else "HEADER"
            with m.State("KIND"):
                m.d.comb += following.eq(0)
                m.d.sync += header[4:8].eq(Mux(self.data[0], Kind.PROBE, Kind.OUTPUT))
                m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += crc.valid.eq(self.o.valid & self.o.ready)
                with m.If(moves):
                    self._say(m, header[:8])
                    m.d.sync += [header.eq(header[8:]), count.eq(count + 1)]
                    with m.If(count == 3):
                        m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += crc.valid.eq(self.o.valid & self.o.ready)
                with m.If(moves):
                    with m.If(place == end):
                        m.next = "CHECK"
                    with m.Else():
                        self._say(m, Mux(self.replying, self.reply_data, self.data))
                        m.d.comb += following.eq(place + 1)
            with m.State("CHECK"):
                with m.If(moves):
                    self._say(m, crc.crc.word_select(count, 8))
                    m.d.sync += [self.replying.eq(0), count.eq(count + 1)]
                    with m.If(count == 3):
                        m.next = "END"
            with m.State("END"):
                with m.If(moves):
                    self._say(m, 0, end=1)
                    m.next = "IDLE"
        return m

    def _say(self, m: Module, byte: ValueLike, *, end: int = 0) -> None:
        m.d.sync += [self.o.p.data.eq(byte), self.o.p.end.eq(end), self.o.valid.eq(1)]

    def _choose(
        self, m: Module, header: Signal, following: Signal, end: Signal, slot: Signal
    ) -> None:
        """Begin the first frame that is due."""
        size, begin = 1 << self.spec.place_bits, following
        m.d.comb += begin.eq(0)
        m.d.sync += end.eq(0)
        due = self.due.as_value() & Mux(self.hold, EVERYTHING - REPLIES, EVERYTHING)
        with m.Switch(due):
            for index, kind in enumerate(KINDS):
                with m.Case("-" * (len(KINDS) - 1 - index) + "1" + "0" * index):
                    m.d.comb += self.sent.as_value()[index].eq(1)
                    m.d.sync += header.eq(
                        Cat(self.room, C(kind, 4), self.session, self.seqs[index], self.ack)
                    )
                    if kind == Kind.WELCOME:
                        m.d.comb += begin.eq(size - WELCOME_BYTES)
                        m.d.sync += self.replying.eq(1)
                    elif kind == Kind.RESPONSE:
                        m.d.comb += begin.eq(1)
                        m.d.sync += [end.eq(self.reply_end), self.replying.eq(1)]
                    elif kind == Kind.OUTPUT:
                        m.d.comb += begin.eq(size - 1)
                        m.d.sync += slot.eq(self.slot)
                    m.next = "LENGTH" if kind == Kind.OUTPUT else "HEADER"
