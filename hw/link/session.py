"""What a frame from the host does, and what is to be said to it."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.hw.link.token import Kind
from vle.hw.link.transmitter import DUE, KINDS

HEADER = data.StructLayout({"kind": 4, "session": 8, "seq": 8, "ack": 8})


class Session(wiring.Component):
    """The receiver of go-back-N, requests done once, and whose frames count at all.

    Parameters
    ----------
    spec
        Number of slots.

    Members
    -------
    header, flag, taken, stored : In
        From the inbox.
    wanted : Out(1)
        Whether a frame of this header is to be kept.
    session, alive : Out
        Of the host that is heard; whether there is one.
    forget, clear : Out(1)
        Another begins; the chip is to be cleared.
    cut, clearing : In(1)
        A step was begun that only this can end; it is being cleared.
    settled : In(1)
        All is ready for the session.
    heard, again : Out(1)
        The acknowledgement counts; and all from there on is to be sent once more.
    expected, read, filled, room, freed
        The next stream frame; slots read, modulo twice their number; one is there that was not;
        slots left; one has just been read.
    start, open, done
        A request is there; there can be one; the response is there.
    due, sent, seqs
        To the transmitter, but for the stream.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        ins = ("flag", "taken", "stored", "cut", "clearing", "settled", "freed", "open", "done")
        outs = ("wanted", "alive", "forget", "clear", "heard", "again", "filled", "start")
        super().__init__(
            {
                **dict.fromkeys(ins, In(1)),
                **dict.fromkeys(outs, Out(1)),
                "header": In(HEADER),
                "session": Out(8),
                "expected": Out(8),
                "read": In(spec.slot_bits + 1),
                "room": Out(4),
                "due": Out(DUE),
                "sent": In(DUE),
                "seqs": Out(8).array(len(KINDS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        header, is_kind, mine = self.header, {}, Signal()
        for kind in (Kind.HELLO, Kind.REQUEST, Kind.STEPS, Kind.RESEND):
            is_kind[kind] = Signal(name=f"is_{kind.name.lower()}")
            m.d.comb += is_kind[kind].eq(header.kind == kind)
        hello = is_kind[Kind.HELLO]
        m.d.comb += [
            self.alive.eq(self.session != 0),
            mine.eq((header.session == self.session) & self.alive & ~hello),
            self.forget.eq(self.taken & hello),
            self.clear.eq(self.flag | self.cut),
            self.heard.eq(self.taken & mine),
            self.again.eq(is_kind[Kind.RESEND]),
        ]
        said, self.waits = self.sent, Signal(DUE)  # but for the stream and ACK
        refused = Signal(4)
        with m.If(said.welcome):
            m.d.sync += self.waits.welcome.eq(0)
        with m.If(said.refused):
            m.d.sync += self.waits.refused.eq(0)
        with m.If(self.settled & self.alive):
            m.d.sync += self.waits.welcome.eq(1)
        with m.If(self.taken & ~mine & ~hello & ~header.kind[3]):
            m.d.sync += [self.waits.refused.eq(1), refused.eq(header.kind)]
        m.d.comb += self.seqs[KINDS.index(Kind.REFUSED)].eq(refused)
        steps = self._steps(m, self.heard & is_kind[Kind.STEPS], self.heard & self.again)
        request = self._requests(m, self.heard & is_kind[Kind.REQUEST])
        m.d.comb += self.wanted.eq(
            mine & ((is_kind[Kind.STEPS] & steps) | (is_kind[Kind.REQUEST] & request))
        )
        cleared = Signal()
        m.d.comb += self.seqs[KINDS.index(Kind.WELCOME)].eq(cleared)
        with m.If(self.forget):
            m.d.sync += [self.session.eq(header.session), self.expected.eq(0)]
            m.d.sync += [self.waits.eq(0), cleared.eq(self.clear | self.clearing)]
        return m

    def _steps(self, m: Module, came, again):
        """Count frames of steps, and see to their acknowledgement; whether one is expected."""
        seq, said = self.header.seq, self.sent
        unread, ahead = Signal(self.spec.slot_bits + 1), Signal(8)
        following, answer, poll = Signal(4), Signal(), Signal()
        m.d.comb += [
            unread.eq(self.expected - self.read),
            self.filled.eq(unread != 0),
            self.room.eq(self.spec.slots - unread),
            ahead.eq(seq - self.expected),
            self.due.eq(self.waits),
            self.due.ack.eq(answer | poll),
        ]
        with m.If(said.gap | said.response | said.stream | said.ack):
            m.d.sync += answer.eq(0)
        with m.If(said.gap):
            m.d.sync += self.waits.gap.eq(0)
        with m.If(said.ack):
            m.d.sync += poll.eq(0)
        with m.If(self.freed):
            m.d.sync += answer.eq(1)
        with m.If(again):
            m.d.sync += poll.eq(1)
        with m.If(came):
            m.d.sync += following.eq(seq + 1)
            with m.If(self.stored):
                m.d.sync += [self.expected.eq(self.expected + 1), answer.eq(1)]
            with m.Elif(ahead[7] | (ahead == 0)):
                m.d.sync += answer.eq(1)
            with m.Elif(seq[:4] != following):  # a hole, and not the one told of before
                m.d.sync += self.waits.gap.eq(1)
        with m.If(self.forget):
            m.d.sync += [answer.eq(0), poll.eq(0), following.eq(0)]
        return (ahead == 0) & ~unread[-1]

    def _requests(self, m: Module, came):
        """Have each request done once, and answered as often as it comes; whether one is new."""
        seq, last, answered, ahead = self.header.seq, Signal(8), Signal(), Signal(8)
        m.d.comb += [
            ahead.eq(seq - last),
            self.start.eq(came & self.stored),
            self.seqs[KINDS.index(Kind.RESPONSE)].eq(last),
        ]
        with m.If(self.sent.response):
            m.d.sync += self.waits.response.eq(0)
        with m.If(came & (ahead == 0) & answered):
            m.d.sync += self.waits.response.eq(1)
        with m.If(self.done):
            m.d.sync += [self.waits.response.eq(1), answered.eq(1)]
        with m.If(self.start):
            m.d.sync += [self.waits.response.eq(0), answered.eq(0), last.eq(seq)]
        with m.If(self.forget):
            m.d.sync += [answered.eq(0), last.eq(0)]
        return (ahead == 1) & self.open
