"""Filtered inputs against the integer model: what each tile hears, and the state behind it."""

from __future__ import annotations

import numpy as np
import pytest
from bounded import simulate
from learners import engine_of, learners

from vle.compiler.circuit.latency import TRACE_BEGIN, TRACE_DRAIN
from vle.compiler.circuit.registers import lane_bits
from vle.compiler.learning import traces
from vle.compiler.learning.traces import Trace
from vle.hw.trace_unit import TraceUnit

FILTERED = {"plasticity": "filtered"}


def _words(value: int, width: int, count: int) -> list[int]:
    half, mask = 1 << width - 1, (1 << width) - 1
    return [((value >> width * k & mask) ^ half) - half for k in range(count)]


class Model:
    """Traces of one layer, and what they count."""

    def __init__(self, piece):
        self.piece, self.learning, spec = piece, piece.learning, piece.spec
        zero = np.zeros((self.learning.groups, spec.columns), np.int64)
        self.trace, self.clamped = Trace(zero, zero), 0
        first = self.learning.first
        self.constants = [spec.alpha[first], spec.alpha_shift, spec.rho[first], spec.rho_shift]

    def step(self, z, start: bool) -> None:
        before = self.trace._replace(low=self.trace.low * (not start))
        width = self.learning.heard_width(self.piece.spec)
        self.trace, clamped = traces.advance(
            before, z, tuple(self.constants), self.learning.bar_drop, width
        )
        self.clamped += clamped

    def heard(self, tile: int, lanes: int, groups: int) -> np.ndarray:
        """Filtered inputs of a tile, padded with 0."""
        padded = np.zeros((groups, self.piece.tiles * lanes), np.int64)
        padded[: self.learning.groups, : self.piece.spec.columns] = self.trace.bar
        return padded[:, tile * lanes :][:, :lanes].ravel()


async def one_pass(ctx, unit: TraceUnit, piece, frame, want) -> None:
    """Issue all tiles of a pass; operands come, and what is heard is looked at, 2 clocks later."""
    engine, place = unit.engine, unit.engine.passes.index(piece)
    z, *flags = frame
    simd, width = engine.simd, engine.operand_width
    padded = np.zeros(piece.tiles * simd, np.int64)
    padded[: piece.spec.columns] = z
    for now in range(piece.fold + 2):
        tile, late = now % piece.tiles, (now - 2) % piece.tiles
        ctx.set(unit.valid, now < piece.fold)
        ctx.set(unit.place, place)
        ctx.set(unit.first, tile == 0)
        ctx.set(unit.first_group, now < piece.tiles)
        ctx.set(unit.start, flags[0] and now == 0)
        ctx.set(unit.zero, flags[1] and now == 0)
        lanes = padded[late * simd :][:simd] & (1 << width) - 1
        ctx.set(unit.operand, sum(int(word) << width * k for k, word in enumerate(lanes)))
        if now >= 2 and want is not None:
            got = _words(ctx.get(unit.heard), width, simd * engine.trace_groups)
            assert got == want.heard(late, simd, engine.trace_groups).tolist(), (now, piece)
        await ctx.tick()


CASES = [
    ([5, 4], [FILTERED], 2, 3),
    ([7, 3, 5, 2], [FILTERED | {"groups": 1}, {}, FILTERED | {"bar_drop": 2}], 2, 4),
    ([3, 6], [FILTERED | {"recurrent": True, "groups": 4}], 4, 1),
    ([9, 3], [FILTERED], 1, 16),
]


@pytest.mark.parametrize(("sizes", "options", "pe", "simd"), CASES)
def test_trace_unit(sizes, options, pe, simd):
    """Several steps; sequences start, and state is zeroed, at random."""
    engine = engine_of(learners(3, sizes, options), pe=pe, simd=simd)
    unit, rng = TraceUnit(engine), np.random.default_rng(4)
    models = {p.layer: Model(p) for p in engine.passes if p.learning.filtered}
    clamped = dict.fromkeys(models, 0)

    async def counting(ctx):
        async for _ in ctx.tick():
            count = ctx.get(unit.clamped)
            if count:
                clamped[engine.passes[ctx.get(unit.clamped_place)].layer] += count

    async def scenario(ctx):
        for step in range(12):
            for place, piece in enumerate(engine.passes):
                while not ctx.get(unit.ready) >> place & 1:
                    await ctx.tick()
                high = 1 << 15 >> int(rng.integers(0, 12))
                z = rng.integers(-high, high, piece.spec.columns)
                z[rng.integers(len(z))] = 32767
                start, zero = rng.integers(6) == 0, step == 0 or rng.integers(8) == 0
                model = models.get(piece.layer)
                if model is not None and zero:
                    model.trace = Trace(model.trace.low * 0, model.trace.bar * 0)
                await one_pass(ctx, unit, piece, (z, bool(start), bool(zero)), model)
                if model is not None:
                    model.step(z, bool(start))
        while ctx.get(unit.ready) != (1 << len(engine.passes)) - 1:
            await ctx.tick()
        await compare(ctx, unit, models)

    simulate(unit, scenario, background=[counting])
    assert clamped == {layer: model.clamped for layer, model in models.items()}
    assert simd != 3 or any(clamped.values())


async def compare(ctx, unit: TraceUnit, models: dict[int, Model]) -> None:
    """State by the bus."""
    engine, column, tile = unit.engine, 0, 0
    groups, simd = engine.trace_groups, engine.simd
    for model in models.values():
        for k, j in np.ndindex(model.trace.low.shape):
            low = (column + j << lane_bits(groups)) + k
            bar = (tile + j // simd << lane_bits(groups * simd)) + k * simd + j % simd
            assert await read(ctx, unit.access_trace_low, low) == model.trace.low[k, j]
            assert await read(ctx, unit.access_trace_bar, bar) == model.trace.bar[k, j]
        column, tile = column + model.piece.spec.columns, tile + model.piece.tiles


async def read(ctx, access, address: int) -> int:
    ctx.set(access.active, 1)
    ctx.set(access.address, address)
    await ctx.tick().repeat(4)
    ctx.set(access.active, 0)
    return _words(ctx.get(access.r_data), 32, 1)[0]


def test_state_from_the_bus_and_constants():
    """State and constants written are what the next steps go on with; ready as soon as promised."""
    engine = engine_of(learners(5, [6, 3], [FILTERED | {"groups": 2}]), pe=1, simd=2)
    (piece,) = engine.passes
    unit, model, rng = TraceUnit(engine), Model(piece), np.random.default_rng(6)
    low = rng.integers(-(1 << 23), 1 << 23, (2, 6))
    bar = rng.integers(-(1 << 15), 1 << 15, (2, 6))
    model.trace = Trace(low, bar)
    alpha, rho = model.constants[0].copy(), model.constants[2].copy()
    alpha[1], rho[0] = 12345, 999
    model.constants[0], model.constants[2] = alpha, rho

    async def write(ctx, access, address: int, word: int) -> None:
        ctx.set(access.active, 1)
        ctx.set(access.address, address)
        ctx.set(access.w_data, word & 0xFFFFFFFF)
        ctx.set(access.write, 1)
        await ctx.tick()
        ctx.set(access.write, 0)
        ctx.set(access.active, 0)

    async def scenario(ctx):
        for k, j in np.ndindex(2, 6):
            await write(ctx, unit.access_trace_low, j << 1 | k, int(low[k, j]))
            await write(ctx, unit.access_trace_bar, j // 2 << 2 | k << 1 | j % 2, int(bar[k, j]))
        for name, group, word in (("alpha", 1, 12345), ("rho", 0, 999)):
            ctx.set(unit.constant_neuron, int(piece.learning.first[group]))
            ctx.set(getattr(unit, f"{name}_word"), word)
            ctx.set(getattr(unit, f"{name}_write"), 1)
            await ctx.tick()
            ctx.set(getattr(unit, f"{name}_write"), 0)
        for _ in range(3):
            z = rng.integers(-(1 << 15), 1 << 15, 6)
            await one_pass(ctx, unit, piece, (z, False, False), model)
            model.step(z, False)
            since = piece.fold + 2
            while not ctx.get(unit.ready):
                await ctx.tick()
                since += 1
            assert since == max(piece.fold + 2, TRACE_BEGIN + 6 + TRACE_DRAIN)
        await compare(ctx, unit, {0: model})

    simulate(unit, scenario)
