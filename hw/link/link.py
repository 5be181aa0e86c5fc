"""A session with a host over a line of bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vle.compiler.circuit.link import VERSION, LinkSpec
from vle.hw.bus import BusSignature
from vle.hw.link.cobs_decoder import CobsDecoder
from vle.hw.link.cobs_encoder import CobsEncoder
from vle.hw.link.inbox import Inbox
from vle.hw.link.packer import Packer
from vle.hw.link.requests import Requests
from vle.hw.link.session import HEADER, Session
from vle.hw.link.slot_reader import SlotReader
from vle.hw.link.token import Kind, byte_stream
from vle.hw.link.transmitter import KINDS, Transmitter
from vle.hw.link.unpacker import Unpacker
from vle.hw.link.window import Window
from vle.hw.primitives import RegisteredMemory

HEARD = ("flag", "taken", "stored")  # of a frame, besides its header


class Link(wiring.Component):
    """The device's side of docs/link.md; one byte per clock each way.

    Parameters
    ----------
    spec
        Sizes.
    address_width
        Bits of a word address of the chip.

    Members
    -------
    i, o : In, Out(byte_stream())
        The line. A byte that comes is taken at once.
    s_axis, m_axis, s_axis_target, m_axis_probe
        For the ports of the same names of the chip, the last two where it learns.
    bus : Out(BusSignature(address_width + 2))
        To registers and memories; the highest bit: those of the board; the one below: of nobody.
    clearing : Out(1)
        A session begins, and the chip is being cleared.
    alive, activity, damaged : Out(1)
        There is a session; a frame was good; a frame was dropped.
    """

    def __init__(self, spec: LinkSpec, address_width: int) -> None:
        self.spec, self.address_width = spec, address_width
        self.unpacker, self.packer = Unpacker(spec), Packer(spec)
        super().__init__(
            {
                **{
                    name: member
                    for part in (self.unpacker, self.packer)
                    for name, member in part.signature.members.items()
                    if "_axis" in name
                },
                "i": In(byte_stream()),
                "o": Out(byte_stream()),
                "bus": Out(BusSignature(address_width + 2)),
                **dict.fromkeys(("clearing", "alive", "activity", "damaged"), Out(1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.inbox = inbox = Inbox(spec)
        m.submodules.session = session = Session(spec)
        m.submodules.requests = requests = Requests(spec, self.address_width)
        m.submodules.reader = reader = SlotReader(spec)
        m.submodules.unpacker, m.submodules.packer = unpacker, packer = self.unpacker, self.packer
        m.submodules.window = Window(spec)
        m.submodules.transmitter = transmitter = Transmitter(spec)
        m.submodules.encoder = encoder = CobsEncoder()
        for source, sink in (
            (flipped(self.i), decoder.i),
            (decoder.o, inbox.i),
            (reader.o, unpacker.i),
            (transmitter.o, encoder.i),
            (encoder.o, flipped(self.o)),
            (requests.bus, flipped(self.bus)),
        ):
            connect(m, source, sink)
        for part in (unpacker, packer):
            for name in part.signature.members:
                if "_axis" in name:
                    connect(m, getattr(part, name), flipped(getattr(self, name)))
        self._in(m)
        self._out(m)
        self._requests(m)
        m.d.comb += [
            self.clearing.eq(requests.clearing),
            self.alive.eq(session.alive),
            self.activity.eq(inbox.taken),
            self.damaged.eq(inbox.damaged),
        ]
        return m

    def _memory(self, m: Module, name: str, depth: int, init: list[int] | None = None):
        """Return a memory of bytes; none is read in the clock in which it is written."""
        m.submodules[name] = memory = RegisteredMemory(8, depth, init or [], latency=1)
        return memory

    def _in(self, m: Module) -> None:
        """Bring frames of steps to their slots, and from there to the chip."""
        parts, bits = m.submodules, self.spec.slot_bits
        inbox, session, reader, unpacker = parts.inbox, parts.session, parts.reader, parts.unpacker
        memory = self._memory(m, "slots_in", self.spec.memories[0][0])
        m.d.comb += [
            *(session.header[name].eq(getattr(inbox, name)) for name in HEADER.members),
            *(getattr(session, name).eq(getattr(inbox, name)) for name in HEARD),
            inbox.wanted.eq(session.wanted),
            memory.w_addr.eq(Cat(inbox.at, session.expected[:bits])),
            memory.w_data.eq(inbox.data),
            memory.w_en.eq(inbox.keep & (inbox.kind == Kind.STEPS)),
            memory.r_addr.eq(reader.address),
            reader.data.eq(memory.r_data),
            reader.filled.eq(session.filled & ~self.clearing),
            reader.forget.eq(session.forget),
            session.read.eq(reader.done),
            session.freed.eq(reader.freed),
            session.cut.eq(unpacker.cut),
            unpacker.forget.eq(session.forget),
            unpacker.drop.eq(self.clearing),
        ]

    def _out(self, m: Module) -> None:
        """Bring outputs and probes to their slots, and from there to the line."""
        parts = m.submodules
        session, packer, window, transmitter = (
            getattr(parts, name) for name in ("session", "packer", "window", "transmitter")
        )
        memory = self._memory(m, "slots_out", self.spec.memories[1][0])
        m.d.comb += [
            memory.w_addr.eq(packer.address),
            memory.w_data.eq(packer.data),
            memory.w_en.eq(packer.keep),
            memory.r_addr.eq(transmitter.address),
            transmitter.data.eq(memory.r_data),
            packer.forget.eq(session.forget),
            packer.discard.eq(self.clearing | ~session.alive),
            packer.cleared.eq(parts.requests.cleared),
            packer.flush.eq(parts.encoder.empty & transmitter.idle & ~window.ready),
            packer.room.eq(window.room),
            window.sealed.eq(packer.slots),
            window.heard.eq(session.heard),
            window.ack.eq(parts.inbox.ack),
            window.again.eq(session.again),
            window.sent.eq(transmitter.sent.stream),
            window.forget.eq(session.forget),
            session.sent.eq(transmitter.sent),
            transmitter.due.eq(session.due),
            transmitter.due.stream.eq(window.ready),
            transmitter.session.eq(session.session),
            transmitter.ack.eq(session.expected),
            transmitter.room.eq(session.room),
            transmitter.slot.eq(window.seq),
            transmitter.free.eq(parts.encoder.free),
        ]
        for kind, ours, theirs in zip(KINDS, transmitter.seqs, session.seqs, strict=True):
            m.d.comb += ours.eq(window.seq if kind == Kind.OUTPUT else theirs)

    def _requests(self, m: Module) -> None:
        """Place a request, its response, and last what WELCOME says, which is never written."""
        parts, spec, part = m.submodules, self.spec, 1 << self.spec.place_bits
        inbox, session, requests, transmitter = (
            getattr(parts, name) for name in ("inbox", "session", "requests", "transmitter")
        )
        said = [5, VERSION, spec.payload_max, spec.slots, spec.slots]  # first the place of its end
        init, depth = [0] * (2 * part) + said, spec.memories[2][0]
        memory = self._memory(m, "replies", depth, init)
        asks = inbox.keep & (inbox.kind == Kind.REQUEST)
        m.d.comb += [
            # never both: a request is kept only where none is at work
            memory.w_addr.eq(Mux(asks, inbox.at, part | requests.address)),
            memory.w_data.eq(Mux(asks, inbox.data, requests.reply)),
            memory.w_en.eq(asks | requests.keep),
            memory.r_addr.eq(Mux(requests.busy, requests.address, transmitter.reply_address)),
            requests.data.eq(memory.r_data),
            requests.start.eq(session.start),
            requests.end.eq(inbox.end),
            requests.forget.eq(session.forget),
            requests.clear.eq(session.clear),
            requests.wait.eq(
                transmitter.replying | transmitter.sent.welcome | transmitter.sent.response
            ),
            session.clearing.eq(requests.clearing),
            session.settled.eq(requests.settled),
            session.open.eq(requests.open),
            session.done.eq(requests.done),
            transmitter.reply_data.eq(memory.r_data),
            transmitter.hold.eq(requests.busy),
        ]
