"""Which stream frames to the host are out, and which are to be sent."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec


class Window(wiring.Component):
    """The sender of go-back-N: a sealed slot is kept until the host expects a frame behind it.

    The number of a frame is that of its slot, modulo the slots; an acknowledgement of what was
    never sealed counts for nothing.

    Parameters
    ----------
    spec
        Number of slots.

    Members
    -------
    sealed : In
        Slots sealed, modulo twice their number.
    heard, ack : In(1), In(8)
        The host expects this frame next.
    again : In(1)
        With `heard`: it wants all from there on once more.
    sent : In(1)
        The frame at `seq` is being sent.
    forget : In(1)
        A session begins.
    seq, ready : Out(8), Out(1)
        The frame to send, if there is one.
    room : Out(1)
        There is a slot to write to.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "sealed": In(spec.slot_bits + 1),
                "heard": In(1),
                "ack": In(8),
                "again": In(1),
                "sent": In(1),
                "forget": In(1),
                "seq": Out(8),
                "ready": Out(1),
                "room": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bits = self.spec.slot_bits + 1
        first = Signal(bits)  # kept for the host
        gone, kept, out = Signal(bits), Signal(bits), Signal(bits)
        m.d.comb += [
            gone.eq(self.ack - first),
            kept.eq(self.sealed - first),
            out.eq(self.seq - first),
            self.room.eq(~kept[-1]),
            self.ready.eq(self.sealed != self.seq[:bits]),
        ]
        with m.If(self.sent):
            m.d.sync += self.seq.eq(self.seq + 1)
        with m.If(self.heard & (gone <= kept)):
            m.d.sync += first.eq(self.ack)
            with m.If(self.again | (out < gone)):
                m.d.sync += self.seq.eq(self.ack)
        with m.If(self.forget):
            m.d.sync += [first.eq(0), self.seq.eq(0)]
        return m
