"""The PE x SIMD array: weights, products, sums."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import PRODUCT_STAGE, RADIX, tree_stages
from vle.compiler.circuit.registers import lane_bits
from vle.hw.bus import AccessSignature
from vle.hw.numeric import Delay


class SynapseArray(wiring.Component):
    """Row sums of a group: `acc[p] = sum over tiles and lanes of weight * operand`.

    One word of all `pe * simd` weights per clock. From the issue of a group's last tile to its
    sums: `5 + tree_stages(simd)` clocks; nothing in it ever waits. The word read stands registered
    at stage 2 and the memory has a write port per lane: further users of the same read (the
    transposed product, the update) join there.

    Parameters
    ----------
    engine
        Geometry and initial weights.

    Members
    -------
    valid, address, first, last
        A tile issued, its word of weights, whether it begins or ends a row: stage 0.
    operand
        Of that tile, `simd` lanes: stage 2.
    o_valid, o
        Sums of `pe` rows, row 0 in the lowest bits.
    access
        From the bus: address of the word, then of the lane.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.address_bits = max(1, (engine.fold - 1).bit_length())
        super().__init__(
            {
                "valid": In(1),
                "address": In(self.address_bits),
                "first": In(1),
                "last": In(1),
                "operand": In(engine.simd * engine.operand_width),
                "o_valid": Out(1),
                "o": Out(engine.pe * engine.acc_width),
                "access": In(AccessSignature(self.address_bits + lane_bits(engine.lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine, sums_stage = self.engine, PRODUCT_STAGE + tree_stages(self.engine.simd)
        weights = self._weights(m)
        first, last = Delay(m, self.first, "first"), Delay(m, self.valid & self.last, "last")
        accumulators = []
        for row in range(engine.pe):
            products = [self._product(m, weights, row, column) for column in range(engine.simd)]
            total = self._tree(m, products)
            acc = Signal(signed(engine.acc_width), name=f"acc{row}")
            m.d.sync += acc.eq(Mux(first[sums_stage], 0, acc) + total)
            accumulators.append(acc)
        m.d.comb += [self.o.eq(Cat(accumulators)), self.o_valid.eq(last[sums_stage + 1])]
        return m

    def _weights(self, m: Module) -> Value:
        """Return the word of weights of stage 2."""
        engine, access, width = self.engine, self.access, self.engine.weight_width
        m.submodules.memory = memory = Memory(
            shape=engine.lanes * width, depth=engine.fold, init=engine.weight_memory()
        )
        write, read = memory.write_port(granularity=width), memory.read_port()
        bits, word = lane_bits(engine.lanes), Signal(engine.lanes * width)
        bus_word, bus_lane = access.address[bits:], access.address[:bits]
        m.d.comb += [
            write.addr.eq(bus_word),
            write.data.eq(access.w_data[:width].replicate(engine.lanes)),
            write.en.eq(Mux(access.write, 1 << bus_lane, 0)),
            read.addr.eq(Mux(access.active, bus_word, self.address)),
            access.r_data.eq(word.word_select(bus_lane, width).as_signed()),
        ]
        m.d.sync += word.eq(read.data)
        return word

    def _product(self, m: Module, weights: Value, row: int, column: int) -> Value:
        """Multiply, registered twice behind the multiplier as the DSP blocks want it."""
        engine = self.engine
        weight = weights.word_select(row * engine.simd + column, engine.weight_width)
        operand = self.operand.word_select(column, engine.operand_width)
        shape = signed(engine.weight_width + engine.operand_width)
        product = Signal(shape, name=f"product{row}_{column}")
        m.d.sync += product.eq(weight.as_signed() * operand.as_signed())
        return Delay(m, product, f"product{row}_{column}")[1]

    @staticmethod
    def _tree(m: Module, words: list[Value]) -> Value:
        """Sum, `RADIX` words per stage."""
        while len(words) > 1:
            sums = [sum(words[k : k + RADIX]) for k in range(0, len(words), RADIX)]
            words = []
            for total in sums:
                register = Signal.like(total, name="sum")
                m.d.sync += register.eq(total)
                words.append(register)
        return words[0]
