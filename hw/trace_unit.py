"""Filtered inputs: what the weights of a pass multiply, and how they go on while it runs."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import lane_bits
from vle.compiler.learning.traces import GUARD
from vle.hw.bus import APART, AccessSignature
from vle.hw.numeric import Delay
from vle.hw.trace_filter import STAGES, TraceFilter
from vle.hw.trace_walk import TraceWalk

WORDS = 3  # from a column's address to its input and its low pass
WRITTEN = WORDS + STAGES


class _Lows(NamedTuple):
    """Low passes of a column: as they are read, and as they are to be."""

    read: Value
    written: Signal


class TraceUnit(wiring.Component):
    """Traces of the layers of an engine that hear filtered inputs, all groups side by side.

    While a pass reads its first group of rows its operands are kept; then its columns are worked
    on, one per clock, and the filtered inputs of the next step are written beside those that the
    pass still reads. Layers take turns in the order of work.

    Parameters
    ----------
    engine
        Layers, formats and initial constants.

    Members
    -------
    valid, place, first, first_group, start, zero
        A tile: stage 0. Low passes read as 0 where a sequence starts; all traces do in the first
        pass after a reset: both with a pass's first tile.
    operand
        Of the tile: stage 2.
    heard
        Filtered inputs of the tile, one group after the other: stage 2.
    ready
        Per place: its next pass may begin.
    done_valid, done_place
        A pass has come out of the neurons, and with it constants that learn.
    constant_neuron, alpha_write, rho_write, alpha_word, rho_word
        A neuron's constants, as they are written or follow from logarithms.
    clamped, clamped_place
        Filtered inputs of a column that were clamped.
    access_trace_low, access_trace_bar
        From the bus: by column and group; by tile, group and lane.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.places = [k for k, learning in enumerate(engine.learning) if learning.filtered]
        self.passes = [engine.passes[k] for k in self.places]
        self.groups = engine.trace_groups
        self.tiles, self.columns = engine.trace_tiles, engine.trace_columns
        place, self.word = range(max(2, len(engine.passes))), engine.simd * engine.operand_width
        depths = {"trace_low": engine.trace_columns, "trace_bar": engine.trace_tiles}
        lanes = {"trace_low": self.groups, "trace_bar": self.groups * engine.simd}
        flags: tuple[str, ...] = ("valid", "first", "first_group", "start", "zero")
        flags += ("done_valid", "alpha_write", "rho_write")
        members = {name: In(1) for name in flags}
        members |= {
            "place": In(place),
            "operand": In(self.word),
            "heard": Out(self.word * self.groups),
            "ready": Out(len(engine.passes)),
            "done_place": In(place),
            "constant_neuron": In(range(max(2, engine.neurons))),
            "alpha_word": In(engine.constant_width),
            "rho_word": In(engine.constant_width),
            "clamped": Out(range(self.groups + 1)),
            "clamped_place": Out(place),
        }
        for kind, depth in depths.items():
            bits = max(1, (depth - 1).bit_length()) + lane_bits(lanes[kind])
            members[f"access_{kind}"] = In(AccessSignature(bits))
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.walk = walk = TraceWalk(self.passes, self.engine.simd)
        begins = self._connect_walk(m, walk)
        tile, half = self._tile(m), Signal(len(self.passes))
        m.d.sync += half.eq(half ^ begins)
        z, low = self._inputs(m, tile, walk), self._lows(m, walk)
        constants = self._constants(m, walk.turn)
        units = [TraceFilter(self.engine, self.passes) for _ in range(self.groups)]
        for group, unit in enumerate(units):
            m.submodules[f"filter{group}"] = unit
            m.d.comb += [
                unit.turn.eq(walk.turn),
                unit.z.eq(z),
                unit.low.eq(low.read.word_select(group, len(unit.low))),
                Cat(unit.alpha, unit.rho).eq(constants.word_select(group, 2 * len(unit.alpha))),
            ]
        m.d.comb += low.written.eq(Cat(unit.low_new for unit in units))
        self._bars(m, tile, walk, (half, half ^ begins), [unit.bar for unit in units])
        overs = sum(unit.over for unit in units)
        m.d.comb += [
            self.clamped.eq(Mux(Delay(m, walk.valid, "walking")[WRITTEN], overs, 0)),
            self.clamped_place.eq(Array(self.places)[walk.turn]),
        ]
        return m

    def _connect_walk(self, m: Module, walk: TraceWalk) -> Value:
        """Tell when passes begin; constants that learn are known when they are done."""
        here = self.valid & self.first & self.first_group
        begins = Cat(here & (self.place == k) for k in self.places)
        done = Cat(self.done_valid & (self.done_place == k) for k in self.places)
        late = self.engine.learns_time_constants
        ready = [C(1, 1)] * len(self.engine.passes)
        for k, place in enumerate(self.places):
            ready[place] = walk.ready[k]
        m.d.comb += [
            walk.begin.eq(begins),
            walk.start.eq(self.start),
            walk.zero.eq(self.zero),
            walk.due.eq(done if late else begins),
            self.ready.eq(Cat(ready)),
        ]
        return begins

    def _of_place(self, place: Value, words: list[int]) -> Value:
        """Word of the pass at a place; 0 where it hears no filtered inputs."""
        each = dict(zip(self.places, words, strict=True))
        return Array([each.get(k, 0) for k in range(len(self.engine.passes))])[place]

    def _tile(self, m: Module) -> Delay:
        """Tile at stage 0, counted over all passes."""
        bases = [0, *accumulate(piece.tiles for piece in self.passes)][:-1]
        count = Signal(range(max(2, self.tiles)))
        tile = Signal.like(count, name="tile")
        m.d.comb += tile.eq(Mux(self.first, self._of_place(self.place, bases), count))
        with m.If(self.valid):
            m.d.sync += count.eq(tile + 1)
        return Delay(m, tile, "tile")

    def _inputs(self, m: Module, tile: Delay, walk: TraceWalk) -> Value:
        """Keep the operands of a pass's first group; return the column's, at stage `WORDS`."""
        m.submodules.inputs = memory = Memory(
            shape=self.word, depth=self.tiles, init=[], attrs=APART
        )
        mine = self._of_place(self.place, [1] * len(self.places))
        kept = Delay(m, self.valid & self.first_group & mine, "kept")
        read, write, word = memory.read_port(), memory.write_port(), Signal(self.word)
        z = Signal(signed(self.engine.operand_width))
        lane = Delay(m, walk.lane, "lane")[WORDS - 1]
        m.d.comb += [
            read.addr.eq(walk.tile),
            write.addr.eq(tile[2]),
            write.data.eq(self.operand),
            write.en.eq(kept[2]),
        ]
        m.d.sync += [word.eq(read.data), z.eq(word.word_select(lane, len(z)))]
        return z

    def _lows(self, m: Module, walk: TraceWalk) -> _Lows:
        """Low passes of a column, one group beside the other: stage `WORDS`."""
        width, bits = self.engine.operand_width + GUARD, lane_bits(self.groups)
        memory = Memory(shape=width * self.groups, depth=self.columns, init=[], attrs=APART)
        m.submodules.low = memory
        access, column = self.access_trace_low, Delay(m, walk.column, "column")
        lane, word = access.address[:bits], Signal(width * self.groups, name="low_word")
        read, write = memory.read_port(), memory.write_port(granularity=width)
        port = _Lows(Mux(walk.blank, 0, word), Signal(width * self.groups, name="low_new"))
        written = Delay(m, walk.valid, "walking")[WRITTEN].replicate(self.groups)
        m.d.sync += word.eq(read.data)
        m.d.comb += [
            read.addr.eq(Mux(access.active, access.address[bits:], column[WORDS - 2])),
            access.r_data.eq(word.word_select(lane, width).as_signed()),
            write.addr.eq(Mux(access.active, access.address[bits:], column[WRITTEN])),
            write.data.eq(
                Mux(access.active, access.w_data[:width].replicate(self.groups), port.written)
            ),
            write.en.eq(Mux(access.active, Mux(access.write, 1 << lane, 0), written)),
        ]
        return port

    def _bars(
        self,
        m: Module,
        tile: Delay,
        walk: TraceWalk,
        halves: tuple[Value, Value],
        bars: list[Value],
    ) -> None:
        """Keep filtered inputs in two halves: one that passes read, one for the next step's."""
        width, simd, depth = self.engine.operand_width, self.engine.simd, self.tiles
        memory = Memory(shape=self.word * self.groups, depth=2 * depth, init=[], attrs=APART)
        m.submodules.bar = memory
        read, write = memory.read_port(), memory.write_port(granularity=width)
        access, bits = self.access_trace_bar, lane_bits(simd * self.groups)
        word, lane = Signal(self.word * self.groups, name="bar_word"), access.address[:bits]
        before, now = halves
        index = self._of_place(self.place, list(range(len(self.places))))
        own, other = now.bit_select(index, 1), ~before.bit_select(walk.turn, 1)
        bus = access.address[bits:] + Mux(before[0], 0, depth)
        at, valid = Delay(m, walk.tile, "at")[WRITTEN], Delay(m, walk.valid, "walking")[WRITTEN]
        lanes = Mux(valid, 1 << Delay(m, walk.lane, "lane")[WRITTEN], 0)[:simd]
        new = Cat(bar.replicate(simd) for bar in bars)
        data = access.w_data[:width].replicate(simd * self.groups)
        enable = Mux(access.write, 1 << lane, 0)[: simd * self.groups]
        begin, zero = self.valid & self.first & self.first_group, Signal(name="zero_kept")
        nothing = Mux(begin, self.zero, zero)
        m.d.sync += [word.eq(read.data), zero.eq(nothing)]
        m.d.comb += [
            read.addr.eq(Mux(access.active, bus, tile[0] + Mux(own, depth, 0))),
            access.r_data.eq(word.word_select(lane, width).as_signed()),
            self.heard.eq(Mux(Delay(m, nothing, "nothing")[2], 0, word)),
            write.addr.eq(Mux(access.active, bus, at + Mux(other, depth, 0))),
            write.data.eq(Mux(access.active, data, new)),
            write.en.eq(Mux(access.active, enable, lanes.replicate(self.groups))),
        ]

    def _constants(self, m: Module, turn: Value) -> Value:
        """`alpha` and `rho` of each group of the pass at work, 2 clocks after it took its turn."""
        width, owners, words = self.engine.constant_width, {}, []
        for k, piece in enumerate(self.passes):
            total = 0
            for group, row in enumerate(piece.learning.first.tolist()):
                owners[piece.neuron_base + row] = (k, group)
                pair = int(piece.spec.alpha[row]) | int(piece.spec.rho[row]) << width
                total |= pair << 2 * width * group
            words.append(total)
        memory = Memory(shape=2 * width * self.groups, depth=len(words), init=words, attrs=APART)
        m.submodules.constants = memory
        read, write = memory.read_port(), memory.write_port(granularity=width)
        word, pair = Signal(2 * width * self.groups), Cat(self.alpha_write, self.rho_write)
        m.d.sync += word.eq(read.data)
        m.d.comb += [
            read.addr.eq(turn),
            write.data.eq(Cat(self.alpha_word, self.rho_word).replicate(self.groups)),
        ]
        with m.Switch(self.constant_neuron):
            for neuron, (k, group) in owners.items():
                with m.Case(neuron):
                    m.d.comb += [write.addr.eq(k), write.en.eq(pair << 2 * group)]
        return word
