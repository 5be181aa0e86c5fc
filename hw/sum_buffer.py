"""Column sums between the layer that makes them and the errors of the layer that hears them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.registers import lane_bits
from vle.compiler.learning.errors import SUM_WIDTH
from vle.hw.bus import AccessSignature
from vle.hw.primitives import RegisteredMemory

EXPONENT_WIDTH = 8


class SumBuffer(wiring.Component):
    """One frame of sums: written `simd` columns at a time, read one by one, both in order.

    After reset all sums are 0. It holds no tokens: writer and reader know when they may.

    Parameters
    ----------
    columns
        Sums of a frame.
    simd
        Lanes.
    first
        Lane of the first column in the first tile: 0 for sums on the way down, the inputs modulo
        `simd` for a layer's own.

    Members
    -------
    w_valid, w_data, w_exponent
        The next tile; the exponent is that of the frame, heard with its first tile.
    take, o
        Read the next column, around after the last; the word stands 2 clocks later. A column can
        be taken from the clock after its tile was written to the clock before it is again.
    exponent, zero
        Of the frame last written; whether there has been none since reset.
    access, flags_write, flags_data
        From the bus: words; `zero` in the lowest bit, above it the exponent.
    """

    def __init__(self, columns: int, simd: int, first: int = 0):
        self.columns, self.simd, self.first = columns, simd, first
        self.tiles = -(-(first + columns) // simd)
        self.tile_bits = max(1, (self.tiles - 1).bit_length())
        super().__init__(
            {
                "w_valid": In(1),
                "w_data": In(simd * SUM_WIDTH),
                "w_exponent": In(signed(EXPONENT_WIDTH)),
                "take": In(1),
                "o": Out(signed(SUM_WIDTH)),
                "exponent": Out(signed(EXPONENT_WIDTH)),
                "zero": Out(1, init=1),
                "access": In(AccessSignature(self.tile_bits + lane_bits(simd))),
                "flags_write": In(1),
                "flags_data": In(1 + EXPONENT_WIDTH),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        w_tile, r_tile = Signal(self.tile_bits), Signal(self.tile_bits)
        with m.If(self.w_valid):
            m.d.sync += w_tile.eq(Mux(w_tile == self.tiles - 1, 0, w_tile + 1))
            with m.If(w_tile == 0):
                m.d.sync += [self.exponent.eq(self.w_exponent), self.zero.eq(0)]
        with m.If(self.flags_write):
            m.d.sync += Cat(self.zero, self.exponent).eq(self.flags_data)
        self._memory(m, w_tile, r_tile, self._lane(m, r_tile))
        return m

    def _lane(self, m: Module, r_tile: Signal) -> Signal:
        """Tile and lane of the next column; return the lane, 1 clock later."""
        lane = Signal(range(max(2, self.simd)), init=self.first)
        column, taken = Signal(range(max(2, self.columns))), Signal.like(lane)
        m.d.sync += taken.eq(lane)
        with m.If(self.take):
            m.d.sync += [column.eq(column + 1), lane.eq(lane + 1)]
            with m.If(lane == self.simd - 1):
                m.d.sync += [lane.eq(0), r_tile.eq(r_tile + 1)]
            with m.If(column == self.columns - 1):
                m.d.sync += [column.eq(0), lane.eq(self.first), r_tile.eq(0)]
        return taken

    def _memory(self, m: Module, w_tile: Signal, r_tile: Signal, lane: Signal) -> None:
        """All lanes of a tile in one word; the bus reaches them one by one."""
        simd, access = self.simd, self.access
        m.submodules.memory = memory = RegisteredMemory(
            simd * SUM_WIDTH, self.tiles, lanes=simd, latency=1
        )
        bits = lane_bits(simd)
        bus_lane, bus_tile = access.address[:bits], access.address[bits:]
        bus_enable = Mux(access.write, 1 << bus_lane, 0)
        word = memory.r_data.word_select(Mux(access.active, bus_lane, lane), SUM_WIDTH)
        m.d.sync += self.o.eq(Mux(self.zero & ~access.active, 0, word.as_signed()))
        m.d.comb += [
            access.r_data.eq(self.o),
            memory.w_addr.eq(Mux(access.active, bus_tile, w_tile)),
            memory.w_data.eq(Mux(access.active, access.w_data.replicate(simd), self.w_data)),
            memory.w_en.eq(Mux(access.active, bus_enable, self.w_valid.replicate(simd))),
            memory.r_addr.eq(Mux(access.active, bus_tile, r_tile)),
        ]
