"""Column sums between the layers that make them and the errors of the layers that hear them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Sums
from vle.compiler.circuit.registers import lane_bits
from vle.compiler.learning.errors import SUM_WIDTH
from vle.hw.bus import AccessSignature
from vle.hw.numeric import either, selected
from vle.hw.primitives import RegisteredMemory, registers_first
from vle.hw.primitives.product import registered

EXPONENT_WIDTH = 8


class SumBuffer(wiring.Component):
    """One frame of sums per edge: written `simd` columns at a time, read one by one, in order.

    Frames lie in the order of work, in which both sides go through all of them in each step, so
    addresses count up and around. After reset all sums are 0. It holds no tokens: writer and
    reader know when they may.

    Parameters
    ----------
    sums
        Edges, and how their sums lie.

    Members
    -------
    w_valid, w_data, w_exponent
        Per edge: it is its next tile; the tile; the exponent of its frame.
    reader, take, last, o
        Per edge: whether its reader is at work; read the next column; whether that is the frame's
        last; the word stands 2 clocks later, 0 where none was taken. A column can be taken from
        the clock after its tile was written to the clock before it is again.
    exponent, zero
        Per edge: of the frame last written; whether there has been none since reset.
    access
        From the bus: words.
    flags_write, flags_data
        From the bus, per edge: `zero` in the lowest bit, above it the exponent.
    """

    def __init__(self, sums: Sums):
        self.sums, edges = sums, len(sums.edges)
        self.address_bits = max(1, (sums.depth - 1).bit_length())
        super().__init__(
            {
                "w_valid": In(edges),
                "w_data": In(sums.simd * SUM_WIDTH),
                "w_exponent": In(signed(EXPONENT_WIDTH)),
                "reader": In(edges),
                "take": In(1),
                "last": In(1),
                "o": Out(signed(SUM_WIDTH)),
                "exponent": Out(signed(EXPONENT_WIDTH)).array(edges),
                "zero": Out(edges, init=(1 << edges) - 1),
                "access": In(AccessSignature(self.address_bits + lane_bits(sums.simd))),
                "flags_write": In(edges),
                "flags_data": In(1 + EXPONENT_WIDTH).array(edges),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        for k in range(len(self.sums.edges)):
            with m.If(self.w_valid[k]):
                m.d.sync += [self.exponent[k].eq(self.w_exponent), self.zero[k].eq(0)]
            with m.If(self.flags_write[k]):
                m.d.sync += Cat(self.zero[k], self.exponent[k]).eq(self.flags_data[k])
        self._memory(m, late=registers_first(platform))
        return m

    def _around(self, m: Module, name: str, moves: Value) -> Signal:
        """Count up and around."""
        depth = self.sums.depth
        address = Signal(self.address_bits, name=name)
        with m.If(moves):
            m.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))
        return address

    def _column(self, m: Module) -> tuple[Signal, Signal]:
        """Lane (one bit each) and address of the next column to take."""
        firsts = [1 << edge.first for edge in self.sums.edges]
        lane, taken = Signal(self.sums.simd, init=firsts[0]), self.take & self.reader.any()
        address = self._around(m, "r_address", taken & (lane[-1] | self.last))
        with m.If(taken):
            following = selected(self.reader, [*firsts[1:], firsts[0]])
            m.d.sync += lane.eq(Mux(self.last, following, lane.rotate_left(1)))
        return lane, address

    def _memory(self, m: Module, *, late: bool) -> None:
        """All lanes of a tile in one word; of what is read, the lane taken.

        It is chosen behind the register of the word, or before (`registers_first`).
        """
        simd, access, bits = self.sums.simd, self.access, lane_bits(self.sums.simd)
        m.submodules.memory = memory = RegisteredMemory(
            simd * SUM_WIDTH, self.sums.depth, lanes=simd, latency=1 + late
        )
        w_address = self._around(m, "w_address", self.w_valid.any())
        lane, r_address = self._column(m)
        bus_lane = Mux(access.active, 1 << access.address[:bits], 0)
        enable = Mux(access.write, bus_lane, self.w_valid.any().replicate(simd))
        m.d.comb += [
            memory.w_addr.eq(Mux(access.active, access.address[bits:], w_address)),
            memory.w_data.eq(Mux(access.active, access.w_data.replicate(simd), self.w_data)),
            memory.w_en.eq(enable),
            memory.r_addr.eq(Mux(access.active, access.address[bits:], r_address)),
        ]
        counts = Mux(self.take & (self.reader & ~self.zero).any(), lane, 0) | bus_lane
        here = registered(m, counts, 1 + late)
        words = [memory.r_data.word_select(k, SUM_WIDTH) for k in range(simd)]
        domain = m.d.comb if late else m.d.sync
        domain += self.o.eq(either([Mux(here[k], word, 0) for k, word in enumerate(words)]))
        m.d.comb += access.r_data.eq(registered(m, self.o, 1))
