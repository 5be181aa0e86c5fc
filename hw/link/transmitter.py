"""Frames to the host: which comes next, its header, its payload, its checksum."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.hw.link.token import Kind, token_stream

# what waits to be said, in the order in which it is
WHAT = ("welcome", "refused", "gap", "response", "stream", "ack")
DUE = data.StructLayout(dict.fromkeys(WHAT, 1))
HEADER = data.StructLayout({"room": 4, "kind": 4, "session": 8, "seq": 8, "ack": 8})
EVERYTHING, REPLIES = 0b111111, 0b001001  # of what is due: a welcome, a response
KINDS = (Kind.WELCOME, Kind.REFUSED, Kind.GAP, Kind.RESPONSE, Kind.OUTPUT, Kind.ACK)


class Transmitter(wiring.Component):
    """Sends one frame after the other, one byte per clock, some 12 clocks besides for each.

    The header is taken when a frame begins: it tells of one moment.

    In the memories a payload follows the place of its end, in a slot of a chip that learns after
    whether it is of probes.

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
    replying, hold : Out(1), In(1)
        The memory of replies is being read; it is another's.
    idle : Out(1)
        No frame is being made.
    address, data, reply_address, reply_data
        To the memories of slots and replies, which answer 1 clock later. Of the replies the second
        part is the response, the third what WELCOME says.
    free : In(1)
        The line has room for a frame.
    o : Out(token_stream())
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
                "replying": Out(1),
                "hold": In(1),
                "idle": Out(1),
                "address": Out(spec.slot_bits + spec.place_bits),
                "data": In(8),
                "reply_address": Out(spec.place_bits + 2),
                "reply_data": In(8),
                "free": In(1),
                "o": Out(token_stream()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, bits = self.spec, self.spec.place_bits
        crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.crc = ResetInserter(self.idle)(crc)
        place, following, end = Signal(bits), Signal(bits), Signal(bits)
        slot, count, header = Signal(spec.slot_bits), Signal(2), Signal(HEADER)
        moves, goes, empty, welcome = Signal(), Signal(), Signal(), Signal()
        held, full = Signal(8), Signal()  # a byte of the payload on its way: the memory is slow
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            # the byte at `place` is asked for again until it was taken
            following.eq(Mux(goes, place + 1, place)),
            self.address.eq(Cat(following, slot)),
            self.reply_address.eq(Cat(following, ~welcome, welcome)),
            crc.data.eq(self.o.p.data),
        ]
        payload = Mux(self.replying, self.reply_data, self.data)
        with m.If(moves):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += slot.eq(self.slot)
                m.d.sync += [header.session.eq(self.session), header.ack.eq(self.ack)]
                m.d.sync += header.room.eq(self.room)
                with m.If(self.free):
                    self._choose(m, header, empty, welcome)
            with m.State("READ"):
                m.next = "LENGTH"
            with m.State("LENGTH"):
                m.d.sync += end.eq(payload)
                m.d.comb += goes.eq(1)
                m.next = "KIND" if spec.learns else "HEADER"
            if spec.learns:
                with m.State("KIND"):
                    m.next = "HEADER"
                    with m.If(header.kind == Kind.OUTPUT):
                        m.d.comb += goes.eq(1)
                        with m.If(self.data[0]):
                            m.d.sync += header.kind.eq(Kind.PROBE)
            with m.State("HEADER"), m.If(moves):
                m.d.comb += crc.valid.eq(count != 0)
                self._say(m, header.as_value().word_select(count, 8))
                m.d.sync += count.eq(count + 1)
                with m.If(count == 3):
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"), m.If(moves):
                m.d.comb += crc.valid.eq(self.o.valid)
                m.d.comb += goes.eq(~empty & (place != end))
                self._say(m, held, valid=full)
                m.d.sync += [held.eq(payload), full.eq(goes)]
                with m.If(~goes & ~full):
                    m.next = "CHECK"
            self._check(m, crc, count, moves)
        m.d.sync += place.eq(following)
        with m.If(self.idle):
            m.d.sync += place.eq(0)
        return m

    def _check(self, m: Module, crc, count: Signal, moves: Signal) -> None:
        """Send the checksum and the end; fed with its own lowest byte, it moves on by one byte."""
        with m.State("CHECK"), m.If(moves):
            self._say(m, crc.crc[:8])
            m.d.comb += [crc.data.eq(~crc.crc[:8]), crc.valid.eq(1)]
            m.d.sync += count.eq(count + 1)
            with m.If(count == 3):
                m.next = "END"
        with m.State("END"), m.If(moves):
            m.d.sync += self.replying.eq(0)
            self._say(m, crc.crc[:8], end=1)
            m.next = "IDLE"

    def _say(self, m: Module, byte, *, end=0, valid=1):
        m.d.sync += [self.o.p.data.eq(byte), self.o.p.end.eq(end), self.o.valid.eq(valid)]

    def _choose(self, m: Module, header, empty: Signal, welcome: Signal) -> None:
        """Begin the first frame that is due."""
        with m.Switch(self.due.as_value() & Mux(self.hold, EVERYTHING - REPLIES, EVERYTHING)):
            for index, kind in enumerate(KINDS):
                with m.Case("-" * (len(KINDS) - 1 - index) + "1" + "0" * index):
                    m.d.comb += self.sent.as_value()[index].eq(1)
                    m.d.sync += [header.kind.eq(kind), header.seq.eq(self.seqs[index])]
                    m.d.sync += welcome.eq(kind == Kind.WELCOME)
                    m.d.sync += self.replying.eq(kind in (Kind.WELCOME, Kind.RESPONSE))
                    m.d.sync += empty.eq(kind in (Kind.REFUSED, Kind.GAP, Kind.ACK))
                    m.next = "READ"
