"""Which frames of rates are there, between a layer and the one that hears it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Edge
from vle.hw.tokens import tokens


class FrameBuffer(wiring.Component):
    """A ring of frames; a slot is reserved, written, committed, read, and released.

    After reset it holds one frame of zeros, unless it is fed by the input. A frame may be committed
    before its last words are written, by a writer that knows when they come. The words are in a
    `FrameMemory`.

    Parameters
    ----------
    edge
        Number of frames.
    learns
        Whether an error pass asks ahead of the reader where sequences start.

    Members
    -------
    free, reserve, reserve_start
        Whether a slot is free; take it, for a frame that begins a sequence or not.
    commit
        The next frame can be read.
    ready, more, start, zero
        Whether there is a frame, and one behind it; whether it began a sequence; whether it is the
        reset's.
    release
        The frame is done with.
    hear, hear_ready, hear_start
        Where it learns: the error pass of the reader's next step begins; whether a frame is
        reserved for that step; whether it begins a sequence.
    flags_write, flags_data
        From the bus: `zero` and `start` of the frame to be read next.
    """

    def __init__(self, edge: Edge, *, learns: bool = False):
        self.edge, self.learns = edge, learns
        hears = {"hear": In(1), "hear_ready": Out(1), "hear_start": Out(1)}
        super().__init__(
            {
                **(hears if learns else {}),
                "free": Out(1),
                "reserve": In(1),
                "reserve_start": In(1),
                "commit": In(1),
                "ready": Out(1),
                "more": Out(1),
                "start": Out(1),
                "zero": Out(1, init=int(edge.source is not None)),
                "release": In(1),
                "flags_write": In(1),
                "flags_data": In(2),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        held = int(self.edge.source is not None)  # the reset's frame
        self._count(m, held)
        self._flags(m, held)
        return m

    def _slot(self, init: int) -> Signal:
        return Signal(range(self.edge.slots), init=init)

    def _after(self, slot: Signal):
        return Mux(slot == self.edge.slots - 1, 0, slot + 1)

    def _count(self, m: Module, held: int) -> None:
        """Slots that are free and frames that are committed."""
        slots = self.edge.slots
        frames, ready = tokens(m, self.commit, self.release, slots, held)
        m.d.comb += [
            self.free.eq(tokens(m, self.release, self.reserve, slots, slots - held)[1]),
            self.ready.eq(ready),
            self.more.eq(frames > 1),
        ]

    def _flags(self, m: Module, held: int) -> None:
        """Whether the frame of each slot began a sequence; whether the reset's is still there."""
        start, a_slot, r_slot = Signal(self.edge.slots), self._slot(held), self._slot(0)
        m.d.comb += self.start.eq(start.bit_select(r_slot, 1))
        m.d.sync += self.zero.eq(self.zero & ~self.release)
        with m.If(self.release):
            m.d.sync += r_slot.eq(self._after(r_slot))
        with m.If(self.reserve):
            m.d.sync += start.bit_select(a_slot, 1).eq(self.reserve_start)
            m.d.sync += a_slot.eq(self._after(a_slot))
        if self.learns:
            self._hear(m, start, held)
        with m.If(self.flags_write):
            m.d.sync += Cat(self.zero, start.bit_select(r_slot, 1)).eq(self.flags_data)

    def _hear(self, m: Module, start: Signal, held: int) -> None:
        """Count the frames reserved and not asked for yet."""
        slot = self._slot(0)
        m.d.comb += [
            self.hear_ready.eq(tokens(m, self.reserve, self.hear, self.edge.slots, held)[1]),
            self.hear_start.eq(start.bit_select(slot, 1)),
        ]
        with m.If(self.hear):
            m.d.sync += slot.eq(self._after(slot))
