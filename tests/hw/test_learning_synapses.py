"""Synapses that learn, against the integer model: every sum, every new weight, every clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pytest
import random_chips
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from bounded import simulate

from vle.compiler.circuit.edges import Sums, SumsEdge
from vle.compiler.circuit.geometry import Engine, lay_out_engines
from vle.compiler.circuit.latency import SUM_READ, UPDATE_LOOP, UPDATE_STAGE, sum_stage
from vle.compiler.fixed import Fixed, round_shift
from vle.compiler.learning import noise, updates
from vle.compiler.learning.derivative import Pieces
from vle.compiler.learning.errors import SUM_WIDTH, drop_of
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec
from vle.hw.noise import advance
from vle.hw.sum_buffer import SumBuffer
from vle.hw.synapses import SynapseArray


class Shape(NamedTuple):
    """A layer to be drawn."""

    inputs: int
    outputs: int
    recurrent: bool = False
    loop: bool = False
    groups: int = 0
    weight_width: int = 16
    error_width: int = 16
    update_shift: int = 25


def learning_of(rng, shape: Shape) -> LearningSpec:
    """Learning of which only formats and groups matter here."""
    none = np.zeros(shape.outputs, np.int64)
    group = rng.permutation(np.arange(shape.outputs) % max(shape.groups, 1))
    return LearningSpec(
        plasticity="filtered" if shape.groups else "prospective",
        loop=shape.loop,
        time_constants=False,
        derivative=Pieces(0, 1),
        prime_shift=16,
        kappa=none,
        beta=none,
        kappa_shift=1,
        beta_shift=1,
        error_width=shape.error_width,
        v_width=24,
        update_shift=shape.update_shift,
        group=group,
        bar_drop=0,
        log_high=1,
        log_m=none,
        log_r=none,
        exponent=0,
        seed=1,
        rate=Rate(),
        tau_rate=Rate(),
    )


def engine_of(rng, pe: int, simd: int, shapes, *, lowest: int) -> Engine:
    """An engine for some layers, the first of them number `lowest` of its network."""
    layers, learning = [], []
    for k, shape in enumerate([Shape(1, 1)] * lowest + list(shapes)):
        options = {"recurrent": shape.recurrent, "weight_width": shape.weight_width}
        layers.append(
            random_chips.layer(
                rng, f"l{k}", shape.inputs, shape.outputs, x_format=Fixed(2, 14), **options
            )
        )
        learning.append(learning_of(rng, shape))
    served = tuple(range(lowest, len(layers)))
    return lay_out_engines(layers, [(pe, simd, served)], learning)[0]


def words_of(rng, width: int, *shape) -> np.ndarray:
    """Words of a format; now and then all at one end of it."""
    half = 1 << width - 1
    kind = rng.integers(6)
    if kind < 2:
        return np.full(shape, -half if kind else half - 1)
    return rng.integers(-half, half, shape)


def packed(words, width: int) -> int:
    mask = (1 << width) - 1
    return sum((int(word) & mask) << width * k for k, word in enumerate(words))


def unpacked(value: int, width: int, count: int) -> list[int]:
    half, mask = 1 << width - 1, (1 << width) - 1
    return [((value >> width * k & mask) ^ half) - half for k in range(count)]


class Bench(wiring.Component):
    """The array and a buffer for each frame of sums that it sends."""

    def __init__(self, engine: Engine):
        self.array = SynapseArray(engine)
        self.buffers = {}
        for k, piece in enumerate(engine.passes):
            inputs, simd = piece.spec.inputs, engine.simd
            if piece.sends:
                edge = SumsEdge("down", k, k - 1, inputs, simd, 0)
                self.buffers["down", k] = SumBuffer(Sums("down", 0, 0, (edge,)))
            if piece.loops:
                edge = SumsEdge("loop_error", k, k, piece.spec.outputs, simd, inputs % simd)
                self.buffers["loop", k] = SumBuffer(Sums("loop_error", 0, 0, (edge,)))
        super().__init__({})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.array = self.array
        for (kind, place), buffer in self.buffers.items():
            m.submodules[f"{kind}{place}"] = buffer
            valid = self.array.down_valid if kind == "down" else self.array.loop_valid
            m.d.comb += [buffer.w_valid.eq(valid[place]), buffer.w_data.eq(self.array.sums)]
            m.d.comb += buffer.reader.eq(1)
        return m


@dataclass
class Plan:
    """What is driven and expected in each clock."""

    engine: Engine
    issue: dict = field(default_factory=dict)  # clock -> tile issued
    sums: dict = field(default_factory=dict)  # clock -> row sums
    written: dict = field(default_factory=dict)  # clock -> address, word
    take: dict = field(default_factory=lambda: defaultdict(list))  # clock -> buffers
    taken: dict = field(default_factory=lambda: defaultdict(list))  # clock -> buffer, word
    arrives: dict = field(default_factory=lambda: defaultdict(set))  # clock -> valids
    clamped: Counter = field(default_factory=Counter)
    end: int = 0


class Tile(NamedTuple):
    """What a tile comes with."""

    place: int
    first: bool
    last: bool
    first_group: bool
    last_group: bool
    noise: int
    e: int
    signal: int
    operand: int
    heard: int


def plan_of(rng, engine: Engine, steps: int, gaps: bool) -> Plan:
    """Passes of all layers in turn, as close to each other as they may come, or with gaps."""
    plan, clock = Plan(engine), 3
    weights = [piece.spec.weight.copy() for piece in engine.passes]
    states = [int(rng.integers(1, 1 << 32)) for _ in engine.passes]
    issued, free = {}, defaultdict(int)  # of each word; of each buffer
    for _ in range(steps):
        for k, piece in enumerate(engine.passes):
            job = Job(rng, plan, k, weights[k], states[k])
            for group in range(piece.groups):
                base = piece.weight_base + group * piece.tiles
                clock += int(rng.integers(4)) if gaps and rng.integers(2) else 0
                for tile in range(piece.tiles):
                    clock = max(clock, issued.get(base + tile, -9) + UPDATE_LOOP - tile)
                if group == piece.groups - 1:
                    clock = max([clock, *(free[name] - sum_stage(engine.pe) for name in job.names)])
                    job.send(clock, free)
                for tile in range(piece.tiles):
                    issued[base + tile] = clock + tile
                    plan.issue[clock + tile] = job.tile(group, tile)
                    address, word = base + tile, job.word(group, tile)
                    plan.written[clock + tile + UPDATE_STAGE] = (address, word)
                clock += piece.tiles
                plan.sums[clock - 1 + engine.synapse_stages - 1] = job.rows(group)
            plan.clamped[k] += job.clamped
            weights[k], states[k] = job.after, noise.advance(states[k])
    plan.end = max(clock + 20, *plan.taken, 0) + 1
    return plan


class Job:
    """One pass by the integer model."""

    def __init__(self, rng, plan: Plan, place: int, weight, state: int):
        self.engine, self.plan, self.place, self.state = plan.engine, plan, place, state
        self.piece = piece = plan.engine.passes[place]
        spec, learning = piece.spec, piece.learning
        self.x = words_of(rng, 16, spec.columns)
        self.e = words_of(rng, learning.error_width, spec.outputs)
        self.signal = words_of(rng, updates.SIGNAL_WIDTH, spec.outputs)
        self.bars = words_of(rng, 16, max(learning.groups, 1), spec.columns)
        draws = noise.row_draws(state, spec.outputs), noise.column_draws(state, spec.columns)
        if not rng.integers(4):
            self._just_enough(draws)
        heard = self.bars[learning.group] if learning.filtered else self.x
        self.after, self.clamped = updates.update_weights(
            weight, self.signal, heard, learning.update_shift, draws, spec.weight_width
        )
        self.acc = weight @ self.x
        self.padded = np.zeros((piece.groups * piece.pe, piece.tiles * piece.simd), np.int64)
        self.padded[: spec.outputs, : spec.columns] = self.after
        drop = drop_of(spec.outputs, spec.weight_width, learning.error_width)
        sums = round_shift(self.e @ weight, drop)
        assert np.abs(sums + 0.5).max() < 1 << SUM_WIDTH - 1
        self.frames = {"down": (sums[: spec.inputs], 0), "loop": (sums[spec.inputs :], spec.inputs)}
        used = {"down": piece.sends, "loop": piece.loops}
        self.names = [(kind, place) for kind in used if used[kind]]

    def _just_enough(self, draws) -> None:
        """Make updates that, with the draw of one column, round up to a whole, and no bit over."""
        rows, columns = draws
        draw = rows + columns[np.arange(len(rows)) % len(columns)] & 0xFFFF
        above = self.piece.learning.update_shift - noise.WIDTH - 1
        self.signal = (1 << noise.WIDTH + 1) - 1 - 2 * draw >> max(0, -above)
        unit = 1 << max(0, above)
        self.x, self.bars = np.full_like(self.x, unit), np.full_like(self.bars, unit)

    def send(self, clock: int, free) -> None:
        """Take every column of the sums as soon as it is there."""
        for name in self.names:
            words, first = self.frames[name[0]]
            at = 0
            for column, word in enumerate(words.tolist()):
                arrives = clock + (first + column) // self.piece.simd + sum_stage(self.piece.pe)
                self.plan.arrives[arrives].add(name)
                at = max(at, arrives) + 1
                self.plan.take[at].append(name)
                self.plan.taken[at + SUM_READ].append((name, word))
            free[name] = at + 1

    def tile(self, group: int, tile: int) -> Tile:
        piece, engine = self.piece, self.engine
        rows, columns = slice(group * piece.pe, None), slice(tile * piece.simd, None)
        e, signal = self.e[rows][: piece.pe], self.signal[rows][: piece.pe]
        size = piece.simd * engine.operand_width
        bars = [packed(bar[columns][: piece.simd], engine.operand_width) for bar in self.bars]
        return Tile(
            self.place,
            tile == 0,
            tile == piece.tiles - 1,
            group == 0,
            group == piece.groups - 1,
            self.state,
            packed(e, engine.error_width),
            packed(signal, updates.SIGNAL_WIDTH),
            packed(self.x[columns][: piece.simd], engine.operand_width),
            sum(bar << size * k for k, bar in enumerate(bars)),
        )

    def word(self, group: int, tile: int) -> list[int]:
        pe, simd = self.piece.pe, self.piece.simd
        block = self.padded[group * pe : (group + 1) * pe, tile * simd : (tile + 1) * simd]
        return block.reshape(-1).tolist()

    def rows(self, group: int) -> list[int]:
        rows = self.acc[group * self.piece.pe :][: self.piece.pe].tolist()
        return rows + [0] * (self.piece.pe - len(rows))


def run(rng, plan: Plan) -> None:
    """Drive and compare; where no tile is, inputs are whatever they are."""
    engine, bench = plan.engine, Bench(plan.engine)
    array, counted = bench.array, Counter()

    def drive(ctx, names, tile):
        for name in names:
            port = getattr(array, name, None)
            if port is not None:
                anything = int.from_bytes(rng.bytes(len(port) // 8 + 1)) % (1 << len(port))
                ctx.set(port, anything if tile is None else getattr(tile, name))

    def expect(ctx, clock):
        assert ctx.get(array.o_valid) == (clock in plan.sums)
        if clock in plan.sums:
            got = unpacked(ctx.get(array.o), engine.acc_width, engine.pe)
            assert got == plan.sums[clock], clock
        assert ctx.get(array.written) == (clock in plan.written)
        if clock in plan.written:
            address, word = plan.written[clock]
            assert ctx.get(array.written_address) == address
            got = unpacked(ctx.get(array.written_words), engine.weight_width, engine.lanes)
            assert got == word, clock
        for kind, port in (("down", array.down_valid), ("loop", array.loop_valid)):
            wanted = {place for name, place in plan.arrives[clock] if name == kind}
            assert ctx.get(port) == sum(1 << place for place in wanted), clock
        for name, word in plan.taken[clock]:
            assert ctx.get(bench.buffers[name].o) == word, (clock, name)
        counted[ctx.get(array.clamped_place)] += ctx.get(array.clamped)

    async def scenario(ctx):
        taken = Counter()
        for clock in range(plan.end):
            now = plan.issue.get(clock)
            ctx.set(array.valid, now is not None)
            drive(ctx, ("first", "last", "place", "first_group", "last_group"), now)
            drive(ctx, ("noise",), plan.issue.get(clock - 1))
            drive(ctx, ("e", "signal", "operand", "heard"), plan.issue.get(clock - 2))
            for name, buffer in bench.buffers.items():
                taken[name] += name in plan.take[clock]
                ctx.set(buffer.take, name in plan.take[clock])
                ctx.set(buffer.last, taken[name] % buffer.sums.edges[0].columns == 0)
            expect(ctx, clock)
            await ctx.tick()

    simulate(bench, scenario)
    assert +counted == +plan.clamped


R = {"recurrent": True, "loop": True}
CASES = {
    "one of all": (1, 1, 1, [Shape(1, 1)]),
    "one tile, one group": (4, 5, 1, [Shape(4, 3)]),
    "one tile": (2, 5, 1, [Shape(4, 9, error_width=12)]),
    "two tiles": (2, 3, 1, [Shape(5, 8)]),
    "three tiles": (3, 2, 1, [Shape(6, 8, weight_width=8)]),
    "pe 1": (1, 4, 1, [Shape(11, 4, update_shift=17)]),
    "coarse updates": (2, 3, 1, [Shape(6, 5, update_shift=15)]),
    "coarsest updates": (2, 2, 1, [Shape(4, 5, update_shift=8), Shape(5, 4, update_shift=19)]),
    "simd 1": (5, 1, 1, [Shape(4, 7, update_shift=30)]),
    "recurrent": (3, 4, 1, [Shape(5, 6, **R)]),
    "first layer": (2, 4, 0, [Shape(6, 5)]),
    "first layer, recurrent": (2, 3, 0, [Shape(4, 5, **R)]),
    "no loop": (2, 3, 1, [Shape(4, 4, recurrent=True)]),
    "filtered": (2, 3, 1, [Shape(7, 7, groups=3)]),
    "filtered, one trace": (2, 2, 1, [Shape(5, 3, groups=1, **R)]),
    "layers": (
        2,
        3,
        0,
        [
            Shape(9, 3),
            Shape(3, 4, weight_width=4, update_shift=20, **R),
            Shape(4, 6, error_width=9, update_shift=28),
        ],
    ),
    "layers, filtered and not": (
        2,
        2,
        1,
        [Shape(2, 5, groups=2), Shape(5, 3), Shape(3, 4, groups=4, weight_width=9)],
    ),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_one_read_three_uses(case, gaps):
    """Row sums, sums on their way down and new weights, pass after pass without a pause."""
    pe, simd, lowest, shapes = CASES[case]
    rng = np.random.default_rng([sum(case.encode()), gaps])
    engine = engine_of(rng, pe, simd, shapes, lowest=lowest)
    run(rng, plan_of(rng, engine, 4 if gaps else 5, gaps))


def test_lowest_words(monkeypatch):
    """All weights and all words at their lowest, rows a power of two: the largest sums."""
    monkeypatch.setitem(globals(), "words_of", lambda rng, width, *shape: _lowest(width, shape))
    rng = np.random.default_rng(0)
    engine = engine_of(rng, 2, 2, [Shape(6, 4)], lowest=1)
    weight = np.full((4, 6), -(1 << 15))
    spec = replace(engine.passes[0].spec, weight=weight)
    engine = replace(engine, passes=(replace(engine.passes[0], spec=spec),))
    plan = plan_of(rng, engine, 1, gaps=False)
    assert {word for words in plan.taken.values() for _, word in words} == {1 << 30}
    run(rng, plan)


def _lowest(width: int, shape) -> np.ndarray:
    return np.full(shape, -(1 << width - 1))


SUMS = {  # lanes; columns and first lane of each edge
    "one": (1, [(1, 0)]),
    "a tile and a part": (3, [(5, 2)]),
    "a tile": (4, [(4, 0)]),
    "several": (2, [(7, 1), (1, 1), (4, 0), (2, 1)]),
    "several, one lane": (1, [(2, 0), (1, 0), (3, 0)]),
}


@pytest.mark.parametrize(("simd", "shapes"), SUMS.values(), ids=SUMS)
def test_sum_buffer_on_the_bus(simd, shapes):
    """Zeros after reset; words, exponents and flags of frames; frames and flags from the bus."""
    edges = [SumsEdge("down", k + 1, k, n, simd, first) for k, (n, first) in enumerate(shapes)]
    buffer, rng = SumBuffer(Sums("down", 0, 0, (*edges,))), np.random.default_rng(len(edges))
    places, bits = range(len(edges)), (simd - 1).bit_length()
    frames = [[rng.integers(-(1 << 31), 1 << 31, e.columns) for e in edges] for _ in range(2)]

    async def write(ctx, k):
        lanes = np.zeros((edges[k].tiles, simd), np.int64)
        lanes.reshape(-1)[edges[k].first :][: edges[k].columns] = frames[0][k]
        ctx.set(buffer.w_valid, 1 << k)
        ctx.set(buffer.w_exponent, k - 77)
        for words in lanes:
            ctx.set(buffer.w_data, packed(words, SUM_WIDTH))
            await ctx.tick()
        ctx.set(buffer.w_valid, 0)

    async def read(ctx, k):
        got = []
        for column in range(edges[k].columns + SUM_READ):
            ctx.set(buffer.reader, 1 << k)
            ctx.set(buffer.take, column < edges[k].columns)
            ctx.set(buffer.last, column == edges[k].columns - 1)
            got.append(ctx.get(buffer.o))
            await ctx.tick()
        return got[SUM_READ:]

    async def reach(ctx, k, column, word=None):
        tile, lane = divmod(edges[k].first + column, simd)
        ctx.set(buffer.access.active, 1)
        ctx.set(buffer.access.address, (buffer.sums.begins[k] + tile) << bits | lane)
        ctx.set(buffer.access.w_data, 0 if word is None else int(word) & 0xFFFFFFFF)
        ctx.set(buffer.access.write, word is not None)
        await ctx.tick()
        ctx.set(buffer.access.write, 0)
        await ctx.tick().repeat(4)
        word = unpacked(ctx.get(buffer.access.r_data), 32, 1)[0]
        ctx.set(buffer.access.active, 0)
        await ctx.tick().repeat(2)
        return word

    async def scenario(ctx):
        assert ctx.get(buffer.zero) == (1 << len(edges)) - 1
        for k in places:
            assert await read(ctx, k) == [0] * edges[k].columns
        for k in places:
            await write(ctx, k)
            assert ctx.get(buffer.zero) == (1 << len(edges)) - (2 << k)
            assert ctx.get(buffer.exponent[k]) == k - 77
        for k in (*places, *places):
            assert await read(ctx, k) == frames[0][k].tolist()
        for k in reversed(places):
            for column, word in enumerate(frames[1][k]):
                assert await reach(ctx, k, column) == frames[0][k][column]
                assert await reach(ctx, k, column, word) == word
        for k in places:
            assert await read(ctx, k) == frames[1][k].tolist()
        ctx.set(buffer.flags_write, 1)
        ctx.set(buffer.flags_data[0], 1 | (-3 & 0xFF) << 1)
        await ctx.tick()
        ctx.set(buffer.flags_write, 0)
        assert (ctx.get(buffer.zero), ctx.get(buffer.exponent[0])) == (1, -3)
        for k in places:
            assert await read(ctx, k) == (frames[1][k] * (k > 0)).tolist()
        assert await reach(ctx, 0, 0) == frames[1][0][0]

    simulate(buffer, scenario)


def test_bus_reaches_weights_that_learn():
    """A word written over the bus is read, is where it belongs, and lanes beside it stay."""
    rng = np.random.default_rng(4)
    engine = engine_of(rng, 2, 3, [Shape(6, 4)], lowest=1)
    array, words = SynapseArray(engine), engine.passes[0].weight_words()

    async def scenario(ctx):
        ctx.set(array.access.active, 1)
        for address, lane, word in [(1, 4, -5), (3, 0, 77), (1, 3, 9)]:
            words[address, lane] = word
            ctx.set(array.access.address, address << 3 | lane)
            ctx.set(array.access.w_data, word & 0xFFFFFFFF)
            ctx.set(array.access.write, 1)
            await ctx.tick()
            ctx.set(array.access.write, 0)
        for address, row in enumerate(words):
            for lane, word in enumerate(row):
                ctx.set(array.access.address, address << 3 | lane)
                await ctx.tick().repeat(5)
                assert unpacked(ctx.get(array.access.r_data), 32, 1) == [word]

    simulate(array, scenario)


def test_noise_advances():
    """The generator's words, one after the other."""

    class Unit(Elaboratable):
        def __init__(self):
            self.state, self.after = Signal(32), Signal(32)

        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.state.eq(self.state)
            m.d.comb += self.after.eq(advance(m, self.state))
            return m

    unit, words = Unit(), [1, 0xFFFFFFFF, 0x80000000]

    async def scenario(ctx):
        for word in words + np.random.default_rng(1).integers(1, 1 << 32, 50).tolist():
            ctx.set(unit.state, word)
            await ctx.tick()
            assert ctx.get(unit.after) == noise.advance(word)

    simulate(unit, scenario)
