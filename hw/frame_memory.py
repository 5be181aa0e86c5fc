"""Frames of rates between two engines: their words."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Array, C, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Frames
from vle.compiler.circuit.registers import lane_bits
from vle.hw.bus import AccessSignature
from vle.hw.numeric import choose, chosen, selected
from vle.hw.primitives import RegisteredMemory, registers_first


class FrameMemory(wiring.Component):
    """Writer and reader go through the frames of a step in turn, edge after edge.

    A frame is written column by column, one per clock; the reader sees `simd` columns at once, one
    clock after `tile`, or two where memories are better registered at once (`registers_first`).
    Each side knows where its frame begins, and adds the number of a word by an OR.

    Parameters
    ----------
    frames
        Edges, and how their frames lie.

    Members
    -------
    w_valid, w_data, w_last, w_abort
        The next column; with it, whether it is the frame's last, or, from the input, whether all
        of the frame is to be written anew.
    tile, words, release
        What to read of the frame at hand, and what was read, lane 0 in the lowest bits; the next
        frame is at hand in the next clock.
    edge, access
        From the bus: whose frame, a bit for each edge; words of the frame to be read next. An
        address has as many bits as the edge's words need; those above mean nothing.
    """

    def __init__(self, frames: Frames):
        self.frames = frames
        self.address_bits = (frames.depth - 1).bit_length()
        super().__init__(
            {
                "w_valid": In(1),
                "w_data": In(frames.width),
                "w_last": In(1),
                "w_abort": In(1),
                "tile": In(frames.tile_bits),
                "words": Out(frames.simd * frames.width),
                "release": In(1),
                "edge": In(len(frames.edges)),
                "access": In(AccessSignature(frames.tile_bits + lane_bits(frames.simd))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        frames, access = self.frames, self.access
        latency = 2 if registers_first(platform) else 1
        m.submodules.memory = memory = RegisteredMemory(
            frames.width * frames.simd, frames.depth, lanes=frames.simd, latency=latency
        )
        lane, w_address = self._write_position(m)
        r_base, _, slots = self._walk(m, "r", self.release, 0)
        active, address, enable = self._bus(m, slots)
        w_data = Mux(active, access.w_data[: frames.width], self.w_data)
        m.d.comb += [
            memory.w_addr.eq(Mux(active, address, w_address)),
            memory.w_data.eq(w_data.replicate(frames.simd)),
            memory.w_en.eq(enable | Mux(self.w_valid, lane, 0)),
            memory.r_addr.eq(Mux(active, address, r_base | self.tile)),
            self.words.eq(memory.r_data),
        ]
        bus_lane = access.address[: lane_bits(frames.simd)]
        word = chosen(m, memory.r_data, frames.width, bus_lane)
        m.d.comb += access.r_data.eq(word.as_signed())
        return m

    def _walk(
        self, m: Module, name: str, ends: Value, init: int
    ) -> tuple[Signal, Value, dict[int, Signal]]:
        """Return where the frame at hand begins, the edge after its own, and this step's slots."""
        edges = self.frames.edges
        turn = Signal(range(max(2, len(edges))), name=f"{name}_turn")  # one bit at least
        last, slots, after = turn == len(edges) - 1, {}, {}
        for count in sorted({edge.slots for edge in edges}):
            slots[count] = slot = Signal(range(count), init=init, name=f"{name}_slot{count}")
            after[count] = Mux(last, Mux(slot == count - 1, 0, slot + 1), slot)
        following = Mux(last, 0, turn + 1)
        begin = self.frames.begins[0][init]
        base = Signal(self.address_bits, init=begin, name=f"{name}_base")
        with m.If(ends):
            m.d.sync += [turn.eq(following), base.eq(Array(self._begins(after))[following])]
            m.d.sync += [slot.eq(after[count]) for count, slot in slots.items()]
        return base, following, slots

    def _begins(self, slots: Mapping[int, Value]) -> list[Value]:
        """Where each edge's frame begins, in the slot at hand."""
        return [
            Value.cast(Array(C(begin, self.address_bits) for begin in begins)[slots[len(begins)]])
            for begins in self.frames.begins
        ]

    def _write_position(self, m: Module) -> tuple[Signal, Value]:
        """Lane (one bit each) and address of the next column; the reset's frame is not written."""
        edges, held = self.frames.edges, int(self.frames.writer is not None)
        base, following, _ = self._walk(m, "w", self.w_last, held)
        firsts = [1 << edge.first for edge in edges]
        lane = Signal(self.frames.simd, init=firsts[0])
        tile = Signal(self.frames.tile_bits)
        with m.If(self.w_valid):
            m.d.sync += lane.eq(lane.rotate_left(1))
            with m.If(lane[-1]):
                m.d.sync += tile.eq(tile + 1)
        with m.If(self.w_last | self.w_abort):  # the input has one edge
            m.d.sync += lane.eq(choose(following, firsts, lambda first: C(first, len(lane))))
            m.d.sync += tile.eq(0)
        return lane, base | tile

    def _bus(self, m: Module, slots: dict[int, Signal]) -> tuple[Signal, Signal, Signal]:
        """Whether the bus has the memory, the address, and the lane that it writes, registered.

        All is idle then, and the reader before the first frame of a step.
        """
        access, bits = self.access, lane_bits(self.frames.simd)
        tile, edges = access.address[bits:], self.frames.edges
        begins = zip(self._begins(slots), edges, strict=True)
        words = [begin | tile[: edge.tile_bits] for begin, edge in begins]
        active = Signal(reset_less=True)
        address = Signal(self.address_bits, name="bus_address", reset_less=True)
        enable = Signal(self.frames.simd, reset_less=True)
        m.d.sync += [
            active.eq(access.active),
            address.eq(selected(self.edge, words)),
            enable.eq(Mux(access.write, 1 << access.address[:bits], 0)),
        ]
        return active, address, enable
