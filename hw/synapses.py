"""The PE x SIMD array: weights, products, sums, updates."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import (
    PAIRS,
    PRODUCT_STAGE,
    RADIX,
    least_first,
    tree_stages,
)
from vle.compiler.circuit.registers import lane_bits
from vle.compiler.learning.errors import SUM_WIDTH
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import AccessSignature
from vle.hw.column_sums import ColumnSums
from vle.hw.noise import STATE_WIDTH
from vle.hw.numeric import Delay, chosen
from vle.hw.primitives import Product, Products, RegisteredMemory
from vle.hw.primitives.product import registered
from vle.hw.weight_update import WeightUpdate


class SynapseArray(wiring.Component):
    """Row sums of a group: `acc[p] = sum over tiles and lanes of weight * operand`.

    One word of all `pe * simd` weights per clock. From the issue of a group's last tile to its
    sums: `5 + tree_stages(simd, PAIRS)` clocks; nothing in it ever waits.

    Where its layers learn, the same word also gives sums over rows, `sum_j = sum over groups and
    rows of weight * e` (`ColumnSums`), and is written back as `weight + signal * heard`
    (`WeightUpdate`): one read, three uses, a multiplier each. The new word can be read
    `UPDATE_LOOP` clocks after the old one's address.

    Parameters
    ----------
    engine
        Geometry and initial weights.

    Members
    -------
    valid, first, last
        A tile issued, whether it begins or ends a row: stage 0. Words come in the order in which
        they lie.
    operand
        Of that tile, `simd` lanes: stage 2.
    o_valid, o
        Sums of `pe` rows, row 0 in the lowest bits.
    access
        From the bus: address of the word, then of the lane.

    Where its layers learn, moreover:

    place, first_group, last_group
        Stage 0: the layer by its place in the order of work; whether the tile is of the first, of
        the last group of its pass.
    noise
        Stage 1: state of the layer's draws; it stands during a pass.
    e, signal, heard
        Stage 2: errors and learning signals of `pe` rows, 0 beyond the last; what the columns
        hear filtered, trace by trace, where a layer learns by that.
    down_valid, loop_valid, sums
        `latency.sum_stage` clocks after a tile of the last group: columns of the layer below, and
        of the layer itself, per place.
    written, written_address, written_words
        `UPDATE_STAGE`: the word written back.
    clamped, clamped_place
        Weights clamped, some clocks later, and their layer.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.address_bits = max(1, (engine.fold - 1).bit_length())
        learning = self._learning_members() if engine.learns else {}
        super().__init__(
            {
                **learning,
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "operand": In(engine.simd * engine.operand_width),
                "o_valid": Out(1),
                "o": Out(engine.pe * engine.acc_width),
                "access": In(AccessSignature(self.address_bits + lane_bits(engine.lanes))),
            }
        )

    def _learning_members(self) -> dict[str, Member]:
        engine = self.engine
        self.update = WeightUpdate(engine)
        updated = self.update.signature.members
        members = {
            "place": updated["place"],
            **dict.fromkeys(("first_group", "last_group"), In(1)),
            "noise": In(STATE_WIDTH),
            "e": In(engine.pe * engine.error_width),
            "signal": In(engine.pe * SIGNAL_WIDTH),
            **dict.fromkeys(("down_valid", "loop_valid"), Out(len(engine.passes))),
            "sums": Out(engine.simd * SUM_WIDTH),
            "written": Out(1),
            "written_address": updated["address"],
            "written_words": updated["o"],
            "clamped": updated["clamped"],
            "clamped_place": updated["clamped_place"],
        }
        if self.update.traces:
            members["heard"] = updated["heard"]
        return members

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = self.engine
        sums_stage = PRODUCT_STAGE + tree_stages(engine.simd, PAIRS)
        weights = self._weights(m)
        first, last = Delay(m, self.first, "first"), Delay(m, self.valid & self.last, "last")
        products, accumulators = self._products(m, weights), []
        for row in range(engine.pe):
            total = self._tree(m, products[row * engine.simd :][: engine.simd], PAIRS)
            acc = Signal(signed(engine.acc_width), name=f"acc{row}", reset_less=True)
            m.d.sync += acc.eq(Mux(first[sums_stage], 0, acc) + total)
            accumulators.append(acc)
        m.d.comb += [self.o.eq(Cat(accumulators)), self.o_valid.eq(last[sums_stage + 1])]
        if engine.learns:
            self._learn(m, weights, first, Delay(m, self.valid, "valid"))
        return m

    def _learn(self, m: Module, weights: Value, first: Delay, valid: Delay) -> None:
        """Connect the other two uses of the word."""
        place, first_group = Delay(m, self.place, "place"), Delay(m, self.first_group, "head")
        update = m.submodules.update = self.update
        m.d.comb += [
            *(
                getattr(update, name).eq(stages[1])
                for name, stages in (("valid", valid), ("first", first))
            ),
            update.first_group.eq(first_group[1]),
            update.place.eq(place[1]),
            update.noise.eq(self.noise),
            update.weights.eq(weights),
            update.signal.eq(self.signal),
            update.operand.eq(self.operand),
            self.clamped.eq(update.clamped),
            self.clamped_place.eq(update.clamped_place),
        ]
        if update.traces:
            m.d.comb += update.heard.eq(self.heard)
        if any(piece.sends or piece.loops for piece in self.engine.passes):
            last_group = Delay(m, self.last_group, "tail")
            self._backward(m, weights, [valid, first, first_group, last_group, place])

    def _backward(self, m: Module, weights: Value, stages: list[Delay]) -> None:
        """Errors times weights, summed over the rows of a group."""
        engine, totals = self.engine, []
        for column in range(engine.simd):
            words = [self._error(m, weights, row, column) for row in range(engine.pe)]
            totals.append(self._tree(m, words, least_first(engine.pe)))
        width = len(totals[0])
        m.submodules.columns = columns = ColumnSums(engine, width)
        names, stage = ("valid", "first", "first_group", "last_group", "place"), PRODUCT_STAGE - 2
        for name, stages_of in zip(names, stages, strict=True):
            m.d.comb += getattr(columns, name).eq(stages_of[stage + tree_stages(engine.pe)])
        m.d.comb += [
            columns.totals.eq(Cat(totals)),
            self.sums.eq(columns.sums),
            self.down_valid.eq(columns.down_valid),
            self.loop_valid.eq(columns.loop_valid),
        ]

    def _error(self, m: Module, weights: Value, row: int, column: int) -> Value:
        weight = weights.word_select(row * self.engine.simd + column, self.engine.weight_width)
        error = self.e.word_select(row, self.engine.error_width)
        return self._multiplied(m, weight, error, f"back{row}_{column}")

    def _weights(self, m: Module) -> Value:
        """Return the word of weights of stage 2."""
        engine, access, width = self.engine, self.access, self.engine.weight_width
        m.submodules.memory = memory = RegisteredMemory(
            engine.lanes * width,
            engine.fold,
            engine.weight_memory(),
            lanes=engine.lanes,
            shared=not engine.learns,
        )
        bits, active = lane_bits(engine.lanes), access.active
        bus_word, bus_lane = access.address[bits:], access.address[:bits]
        w_address = address = self._address(m, bus_word)
        data, enable = access.w_data[:width].replicate(engine.lanes), Signal(engine.lanes)
        by_bus = by_update = Mux(access.write, 1 << bus_lane, 0)
        if engine.learns:
            update = self.update
            w_address = registered(m, Mux(active, bus_word, update.address), 1)
            data = registered(m, Mux(active, data, update.o), 1)
            by_update = update.o_valid.replicate(engine.lanes)
            m.d.sync += self.written.eq(update.o_valid)
            m.d.comb += [self.written_address.eq(w_address), self.written_words.eq(data)]
        m.d.sync += enable.eq(Mux(active, by_bus, by_update))
        m.d.comb += [
            memory.r_addr.eq(address),
            memory.w_addr.eq(w_address),
            memory.w_data.eq(data),
            memory.w_en.eq(enable),
        ]
        word = chosen(m, memory.r_data, width, bus_lane)
        m.d.comb += access.r_data.eq(word.as_signed())
        return memory.r_data

    def _address(self, m: Module, bus_word: Value) -> Value:
        """Count words up and around; while the bus is there, its address, a clock later."""
        count, address = Signal(self.address_bits), Signal(self.address_bits)
        around = Mux(count == self.engine.fold - 1, 0, count + 1)
        following = Mux(self.valid, around, count)
        m.d.sync += [
            count.eq(following),
            address.eq(Mux(self.access.active, bus_word, following)),
        ]
        return address

    def _products(self, m: Module, weights: Value) -> list[Value]:
        """Weights times operands, 2 clocks, row by row."""
        engine, widths = self.engine, (self.engine.weight_width, self.engine.operand_width)
        m.submodules.products = products = Products(engine.lanes, *map(signed, widths))
        for lane in range(engine.lanes):
            m.d.comb += [
                products.a[lane].eq(weights.word_select(lane, widths[0])),
                products.b[lane].eq(self.operand.word_select(lane % engine.simd, widths[1])),
            ]
        return list(products.o)

    @staticmethod
    def _multiplied(m: Module, weight: Value, factor: Value, name: str) -> Value:
        """Multiply, 2 clocks."""
        shapes = signed(len(weight)), signed(len(factor))
        m.submodules[name] = product = Product(*shapes, lane=True)
        m.d.comb += [product.a.eq(weight), product.b.eq(factor)]
        return product.o

    @staticmethod
    def _tree(m: Module, words: list[Value], radix: int) -> Value:
        """Sum, `radix` words in the first stage, `RADIX` in the others."""
        while len(words) > 1:
            sums = [Value.cast(sum(words[k : k + radix])) for k in range(0, len(words), radix)]
            words, radix = [registered(m, total, 1) for total in sums], RADIX
        return words[0]
