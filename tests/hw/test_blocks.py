"""Each block of an engine against its part of the integer model, its latency among the rest."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from bounded import simulate

from vle.compiler.activation import PiecewiseLinear as PiecewiseSpec
from vle.compiler.activation import Table as TableSpec
from vle.compiler.circuit.edges import Edge, Frames
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import STATE_LOOP
from vle.compiler.fixed import Fixed
from vle.compiler.network import NetworkSpec
from vle.hw.activation import PiecewiseLinear, Table
from vle.hw.frame_buffer import FrameBuffer
from vle.hw.frame_memory import FrameMemory
from vle.hw.group_queue import GroupQueue
from vle.hw.neurons import NeuronPipeline
from vle.hw.synapses import SynapseArray

FORMAT = Fixed(2, 14)


def engine_of(*layers, pe=2, simd=3) -> Engine:
    """An engine for layers of equal sizes, one behind the other."""
    plan = Folding((EngineSpec(pe, simd, tuple(range(len(layers)))),))
    return ChipSpec(NetworkSpec(layers), plan).engines[0]


def layer(seed: int, *, inputs=4, outputs=4, **options):
    rng = np.random.default_rng(seed)
    return random_chips.layer(rng, f"l{seed}", inputs, outputs, x_format=FORMAT, **options)


LEAKY = PiecewiseSpec(-(1 << 17), (1 << 17) - 1, 25, -3, -(1 << 15), (1 << 15) - 1, True, True)
RELU = PiecewiseSpec(0, 4, 8, 0, 0, (1 << 15) - 1, False, True)
HARD = PiecewiseSpec(1, 1, 0, 100, -700, 800, False, False)
TANH = random_chips.table(np.random.default_rng(3), 24, 16, 5)
STEEP = TableSpec(3, tuple(range(-128, 128, 16)), (16,) * 16, 16, tail_shift=6)
SOFTPLUS = TableSpec(12, tuple(range(0, 4096, 512)), (512,) * 8, 16, tail_shift=3)


@pytest.mark.parametrize(
    ("specs", "circuit", "stages"),
    [
        ([RELU, HARD], PiecewiseLinear, 2),
        ([LEAKY, RELU, HARD], PiecewiseLinear, 4),
        ([TANH], Table, 5),
        ([STEEP, SOFTPLUS, TANH], Table, 5),
    ],
)
def test_activation(specs, circuit, stages):
    """All potentials of note and random ones, layers in turn, one per clock."""
    engine = engine_of(*(layer(k, activation=spec) for k, spec in enumerate(specs)))
    unit, rng = circuit(engine), np.random.default_rng(0)
    assert unit.stages == stages
    edges = [sign * (1 << bit) + d for bit in range(24) for sign in (-1, 1) for d in (-1, 0, 1)]
    prosp = np.clip(
        np.concatenate([edges, rng.integers(-9000, 9000, 200)]), -(1 << 23), (1 << 23) - 1
    )
    places = rng.integers(0, len(specs), len(prosp))

    async def scenario(ctx):
        ctx.set(unit.place, int(places[0]))
        await ctx.tick()
        for k in range(len(prosp) + stages):
            if k >= stages:
                rate, count = specs[places[k - stages]].run(prosp[k - stages, np.newaxis])
                assert ctx.get(unit.r) == rate[0], (specs[places[k - stages]], prosp[k - stages])
                assert ctx.get(unit.saturated) == count
            if k < len(prosp):
                ctx.set(unit.place, int(places[(k + 1) % len(prosp)]))
                ctx.set(unit.prosp, int(prosp[k]))
            await ctx.tick()

    simulate(unit, scenario)


@pytest.mark.parametrize(("pe", "simd"), [(1, 1), (2, 3), (3, 5), (1, 17)])
def test_synapse_array(pe, simd):
    """Sums of all groups in a row without a pause, `5 + tree` clocks after the last tile."""
    spec = layer(1, inputs=7, outputs=5, weight_width=16)
    engine = engine_of(spec, pe=pe, simd=simd)
    array, piece = SynapseArray(engine), engine.passes[0]
    x = random_chips.frames(np.random.default_rng(2), NetworkSpec((spec,)), 1)
    padded = np.zeros(piece.tiles * simd, np.int64)
    padded[: spec.columns] = x[0]
    sums, latency = [], engine.synapse_stages - 1

    async def scenario(ctx):
        for cycle in range(piece.fold + latency):
            tile, fed = cycle % piece.tiles, (cycle - 2) % piece.tiles
            ctx.set(array.valid, cycle < piece.fold)
            ctx.set(array.first, tile == 0)
            ctx.set(array.last, tile == piece.tiles - 1)
            lanes = padded[fed * simd :][:simd] & 0xFFFF
            ctx.set(array.operand, sum(int(word) << 16 * k for k, word in enumerate(lanes)))
            assert ctx.get(array.o_valid) == (
                cycle >= latency and (cycle - latency + 1) % piece.tiles == 0
            )
            await ctx.tick()
            if ctx.get(array.o_valid):
                sums.extend(_words(ctx.get(array.o), engine.acc_width, pe))

    simulate(array, scenario)
    assert sums[: spec.outputs] == spec.accumulate(x)[0].tolist()
    assert not any(sums[spec.outputs :])


def _words(value: int, width: int, count: int) -> list[int]:
    half, mask = 1 << width - 1, (1 << width) - 1
    return [((value >> width * k & mask) ^ half) - half for k in range(count)]


@pytest.mark.parametrize("start", [False, True])
def test_neuron_pipeline(start):
    """Two layers, neuron after neuron, three steps; rates `rate_stage` clocks later."""
    specs = [layer(1, activation=TANH, u_width=20), layer(2, activation=LEAKY)]
    engine = engine_of(*specs)
    unit, rng = NeuronPipeline(engine), np.random.default_rng(3)
    steps, neurons = 3, engine.neurons
    u = [np.zeros((1, 4), np.int64) for _ in specs]
    rows = []
    for step in range(steps):
        for place, spec in enumerate(specs):
            x = rng.integers(-30000, 30000, (1, 4))
            before = u[place] * 0 if start else u[place]
            u[place], r, counts = spec.step(x, before)
            for k in range(4):
                acc = int(spec.accumulate(x)[0, k])
                rows.append((acc, place, k, step, int(u[place][0, k]), int(r[0, k]), counts))

    async def scenario(ctx):
        overs = {}
        ctx.set(unit.advance, 0)
        await ctx.tick().repeat(2)
        for cycle in range(len(rows) + engine.rate_stage + 1):
            if cycle > engine.rate_stage:
                _, place, k, step, want_u, want_r, counts = rows[cycle - engine.rate_stage - 1]
                assert ctx.get(unit.o_valid)
                assert (ctx.get(unit.o_place), ctx.get(unit.o_row)) == (place, k)
                assert (ctx.get(unit.o_u), ctx.get(unit.o)) == (want_u, want_r)
                total = overs.setdefault((step, place), [[0, 0, 0], counts])[0]
                for kind in range(3):
                    total[kind] += ctx.get(unit.saturated) >> kind & 1
            ctx.set(unit.advance, cycle < len(rows))
            ctx.set(unit.valid, 0 < cycle <= len(rows))
            if 0 < cycle <= len(rows):
                acc, place, k, step, *_ = rows[cycle - 1]
                ctx.set(unit.acc, acc)
                ctx.set(unit.neuron, (cycle - 1) % neurons)
                ctx.set(unit.place, place)
                ctx.set(unit.row, k)
                ctx.set(unit.last, k == 3)
                ctx.set(unit.flags, 0b101 if start else 0b100 * (step == 0))
            await ctx.tick()
        assert all(total == list(counts) for total, counts in overs.values())

    simulate(unit, scenario)


@pytest.mark.parametrize(("outputs", "pe"), [(7, 3), (1, 1), (4, 4), (9, 2)])
def test_group_queue(outputs, pe):
    """Rows come in order, one clock after a group that finds the queue empty, never too early."""
    engine = engine_of(layer(1, outputs=outputs), pe=pe)
    unit, rng = GroupQueue(engine), np.random.default_rng(4)
    width, groups, steps = engine.acc_width, engine.passes[0].groups, 4
    sent, got, times = [], [], []

    async def feed(ctx):
        room = engine.queue_depth
        for group in range(groups * steps):
            pause = int(rng.integers(1, 4))
            while room == 0 or (pause := pause - 1) >= 0:
                room += await _taken(ctx, unit)
            words = rng.integers(0, 1 << 12, pe)
            sent.extend(words[: outputs - group % groups * pe].tolist())
            ctx.set(unit.i, sum(int(word) << width * k for k, word in enumerate(words)))
            ctx.set(unit.i_valid, 1)
            room += await _taken(ctx, unit) - 1
            ctx.set(unit.i_valid, 0)
            if group == 0:
                assert ctx.get(unit.o_valid), "1 clock"

    async def drain(ctx):
        cycle = 0
        while len(got) < outputs * steps:
            names = (unit.o_valid, unit.o, unit.row, unit.neuron, unit.last)
            _, _, valid, word, row, neuron, last = await ctx.tick().sample(*names)
            cycle += 1
            if valid:
                assert row == neuron == len(got) % outputs
                assert last == (row == outputs - 1)
                got.append(word)
                times.append(cycle)
            assert cycle < 1000, "watchdog"

    simulate(unit, feed, drain)
    assert got == sent
    apart = [late - early for early, late in zip(times, times[outputs:], strict=False)]
    assert min(apart) >= STATE_LOOP


async def _taken(ctx, unit) -> int:
    _, _, taken = await ctx.tick().sample(unit.taken)
    return int(taken)


def test_frame_buffer():
    """Frames are told of in the order in which they were reserved; the reset's frame is zero."""
    unit, starts = FrameBuffer(Edge(0, 1, FORMAT, 7, 0, 3, 3, 3)), [0, 1, 1, 0, 1, 0]

    async def pulse(ctx, *names):
        for name in names:
            ctx.set(getattr(unit, name), 1)
        await ctx.tick()
        for name in names:
            ctx.set(getattr(unit, name), 0)

    async def write(ctx):
        for start in starts:
            while not ctx.get(unit.free):
                await ctx.tick()
            ctx.set(unit.reserve_start, start)
            await pulse(ctx, "reserve")
            await ctx.tick().repeat(4)
            await pulse(ctx, "commit")

    async def read(ctx):
        for place, start in enumerate([0, *starts]):
            while not ctx.get(unit.ready):
                await ctx.tick()
            assert (ctx.get(unit.start), ctx.get(unit.zero)) == (start, place == 0)
            await pulse(ctx, "release")

    simulate(unit, write, read)


EDGES = {  # columns, first lane, slots of each edge
    "one": [(7, 0, 3)],
    "two": [(7, 2, 2), (1, 0, 2)],
    "slots differ": [(2, 1, 4), (20, 0, 3), (7, 2, 4)],
}


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("source", [0, None])
def test_frame_memory(edges, source):
    """Frames of all edges come back as they were written, each in its turn, and on the bus."""
    edges = edges[: len(edges) if source is not None else 1]
    ways = [
        Edge(source, k, FORMAT, columns, first, 3, slots, 3)
        for k, (columns, first, slots) in enumerate(edges)
    ]
    unit, rng = FrameMemory(Frames(source, 0, (*ways,))), np.random.default_rng(5)
    steps = [[rng.integers(-(1 << 15), 1 << 15, way.columns) for way in ways] for _ in range(9)]

    async def write(ctx, frame):
        for begun in (frame[:-1],) * (source is None) + (frame,):  # given up, written anew
            for place, word in enumerate(begun):
                ctx.set(unit.w_valid, 1)
                ctx.set(unit.w_data, int(word))
                ctx.set(unit.w_last, len(begun) == len(frame) == place + 1)
                ctx.set(unit.w_abort, len(begun) < len(frame) and len(begun) == place + 1)
                await ctx.tick()
        for name in ("w_valid", "w_last", "w_abort"):
            ctx.set(getattr(unit, name), 0)

    async def read(ctx, way, frame):
        words = []
        for tile in range(way.tiles):
            ctx.set(unit.tile, tile)
            await ctx.tick()
            words += _words(ctx.get(unit.words), 16, 3)
        if frame is not None:
            assert words[way.first :][: way.columns] == frame.tolist()
        ctx.set(unit.release, 1)
        await ctx.tick()
        ctx.set(unit.release, 0)

    async def access(ctx, way, column, word=None):
        tile, lane = divmod(way.first + column, 3)
        ctx.set(unit.edge, 1 << ways.index(way))
        ctx.set(unit.access.active, 1)
        ctx.set(unit.access.address, (tile | -1 << way.tile_bits) << 2 | lane)
        ctx.set(unit.access.write, word is not None)
        ctx.set(unit.access.w_data, 0 if word is None else int(word))
        await ctx.tick()
        ctx.set(unit.access.write, 0)
        await ctx.tick().repeat(4)
        found = ctx.get(unit.access.r_data)
        ctx.set(unit.access.active, 0)
        await ctx.tick()
        return (found + (1 << 31)) % (1 << 32) - (1 << 31)

    async def scenario(ctx):
        for way in ways if source is not None else ():
            await read(ctx, way, None)  # the reset's
        for frames in steps:
            for frame in frames:
                await write(ctx, frame)
            for way, frame in zip(ways, frames, strict=True):
                for column in range(way.columns if source is not None else 0):
                    assert await access(ctx, way, column) == frame[column]
                    await access(ctx, way, column, ~frame[column])
            for way, frame in zip(ways, frames, strict=True):
                await read(ctx, way, frame if source is None else ~frame)

    simulate(unit, scenario)
