"""Frames of rates between the layer that computes them and the one that hears them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Edge
from vle.compiler.circuit.registers import lane_bits
from vle.hw.bus import AccessSignature
from vle.hw.numeric import chosen
from vle.hw.primitives import RegisteredMemory, registers_first
from vle.hw.tokens import tokens


class FrameBuffer(wiring.Component):
    """A ring of frames; a slot is reserved, written, committed, read, and released.

    After reset it holds one frame of zeros, unless it is fed by the input. Words of a frame come
    in the order of columns, one per clock; the reader sees `simd` columns at once, one clock after
    `tile`, or two where memories are better registered at once (`registers_first`). A frame may be
    committed before its last words are written, by a writer that knows when they come.

    Parameters
    ----------
    edge
        Size, layout and number of frames.
    learns
        Whether an error pass asks ahead of the reader where sequences start.

    Members
    -------
    free, reserve, reserve_start
        Whether a slot is free; take it, for a frame that begins a sequence or not.
    w_valid, w_data, w_abort
        The next column; back to the first one.
    commit
        The next frame can be read.
    ready, more, start, zero
        Whether there is a frame, and one behind it; whether it began a sequence; whether it is the
        reset's.
    tile, words
        What to read of it, and what was read, lane 0 in the lowest bits.
    release
        The frame is done with.
    hear, hear_ready, hear_start
        Where it learns: the error pass of the reader's next step begins; whether a frame is
        reserved for that step; whether it begins a sequence.
    access, flags_write, flags_data
        From the bus: words of the frame to be read next; its `zero` and `start`.
    """

    def __init__(self, edge: Edge, *, learns: bool = False):
        self.edge, self.learns = edge, learns
        self.tile_bits = max(1, (edge.tiles - 1).bit_length())
        hears = {"hear": In(1), "hear_ready": Out(1), "hear_start": Out(1)}
        super().__init__(
            {
                **(hears if learns else {}),
                "free": Out(1),
                "reserve": In(1),
                "reserve_start": In(1),
                "w_valid": In(1),
                "w_data": In(edge.format.width),
                "w_abort": In(1),
                "commit": In(1),
                "ready": Out(1),
                "more": Out(1),
                "start": Out(1),
                "zero": Out(1, init=int(edge.source is not None)),
                "tile": In(self.tile_bits),
                "words": Out(edge.simd * edge.format.width),
                "release": In(1),
                "access": In(AccessSignature(self.tile_bits + lane_bits(edge.simd))),
                "flags_write": In(1),
                "flags_data": In(2),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        held = int(self.edge.source is not None)  # the reset's frame
        self._count(m, held)
        w_slot, r_slot = self._slot(m, held), self._slot(m, 0)
        m.d.sync += self.zero.eq(self.zero & ~self.release)
        with m.If(self.release):
            m.d.sync += r_slot.eq(self._after(r_slot))
        self._flags(m, held, r_slot)
        lane, tile = self._write_position(m, w_slot)
        latency = 2 if registers_first(platform) else 1
        self._memory(m, lane, Cat(tile, w_slot), r_slot, latency)
        return m

    def _slot(self, m: Module, init: int) -> Signal:
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

    def _flags(self, m: Module, held: int, r_slot: Signal) -> None:
        """Whether the frame of each slot began a sequence."""
        start, a_slot = Signal(self.edge.slots), self._slot(m, held)
        m.d.comb += self.start.eq(start.bit_select(r_slot, 1))
        with m.If(self.reserve):
            m.d.sync += start.bit_select(a_slot, 1).eq(self.reserve_start)
            m.d.sync += a_slot.eq(self._after(a_slot))
        if self.learns:
            self._hear(m, start, held)
        with m.If(self.flags_write):
            m.d.sync += Cat(self.zero, start.bit_select(r_slot, 1)).eq(self.flags_data)

    def _hear(self, m: Module, start: Signal, held: int) -> None:
        """Count the frames reserved and not asked for yet."""
        slot = self._slot(m, 0)
        m.d.comb += [
            self.hear_ready.eq(tokens(m, self.reserve, self.hear, self.edge.slots, held)[1]),
            self.hear_start.eq(start.bit_select(slot, 1)),
        ]
        with m.If(self.hear):
            m.d.sync += slot.eq(self._after(slot))

    def _write_position(self, m: Module, w_slot: Signal) -> tuple[Signal, Signal]:
        """Lane (one bit each) and tile of the next column."""
        simd, first = self.edge.simd, 1 << self.edge.first
        lane, tile = Signal(simd, init=first), Signal(self.tile_bits)
        column = Signal(range(self.edge.columns))
        last = column == self.edge.columns - 1
        with m.If(self.w_valid):
            m.d.sync += [column.eq(column + 1), lane.eq(lane.rotate_left(1))]
            with m.If(lane[-1]):
                m.d.sync += tile.eq(tile + 1)
            with m.If(last & ~self.w_abort):
                m.d.sync += w_slot.eq(self._after(w_slot))
        with m.If(self.w_abort | (self.w_valid & last)):
            m.d.sync += [column.eq(0), lane.eq(first), tile.eq(0)]
        return lane, tile

    def _memory(self, m: Module, lane: Signal, position, r_slot: Signal, latency: int) -> None:
        """One word of all lanes per tile; the bus reads and writes the frame to be read next."""
        width, simd, access = self.edge.format.width, self.edge.simd, self.access
        m.submodules.memory = memory = RegisteredMemory(
            width * simd, self.edge.slots << self.tile_bits, lanes=simd, latency=latency
        )
        bits = lane_bits(simd)
        bus_lane, bus_position = access.address[:bits], Cat(access.address[bits:], r_slot)
        w_data = Mux(access.active, access.w_data[:width], self.w_data)
        bus_enable = Mux(access.write, 1 << bus_lane, 0)
        m.d.sync += access.r_data.eq(chosen(m, memory.r_data, width, bus_lane).as_signed())
        m.d.comb += [
            memory.w_addr.eq(Mux(access.active, bus_position, position)),
            memory.w_data.eq(w_data.replicate(simd)),
            memory.w_en.eq(Mux(access.active, bus_enable, Mux(self.w_valid, lane, 0))),
            memory.r_addr.eq(Mux(access.active, bus_position, Cat(self.tile, r_slot))),
            self.words.eq(memory.r_data),
        ]
