"""Halted, saved, restored and cleared at any moment: what is computed does not change."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from conftest import SOAK
from core_bench import CoreBench
from expected import expected

from vle.compiler.circuit.folding import ChipSpec

STEPS = 6


def small_chip(rng: np.random.Generator) -> ChipSpec:
    layers = int(rng.integers(1, 4))
    sizes = rng.choice((1, 2, 3, 7), layers + 1).tolist()
    return random_chips.chip(
        rng, sizes, recurrent=tuple(np.flatnonzero(rng.random(layers) < 0.5).tolist())
    )


async def halted(ctx, bench: CoreBench, rng: np.random.Generator, done: int, between: bool) -> None:
    """Halt, read the state, and perhaps write it anew, between frames into a cleared chip."""
    await bench.halt(ctx)
    await ctx.tick()
    assert not ctx.get(bench.core.i.ready)
    state, what = await bench.save(ctx), rng.integers(3)
    if what and between:
        await bench.settle(ctx, done)
        await bench.clear(ctx)
    if what:
        await bench.restore(ctx, state)
    await bench.resume(ctx)


async def ruin(ctx, bench: CoreBench, rng: np.random.Generator) -> None:
    """Some frames, the last perhaps open, and a clear wherever they are, halted or not."""
    chip = bench.chip.network
    for frame in random_chips.frames(rng, chip, int(rng.integers(1, 4))):
        await bench.send(ctx, frame, bool(rng.integers(2)))
    if chip.layers[0].inputs > 1 and rng.integers(2):
        await bench.send(ctx, frame[:-1], last=False)
    await ctx.tick().repeat(int(rng.integers(1, 30)))
    if rng.integers(2):
        ctx.set(bench.core.halt, 1)
        await ctx.tick().repeat(int(rng.integers(1, 30)))
    await bench.clear(ctx)
    ctx.set(bench.core.halt, 0)
    ctx.set(bench.core.clear_counters, 1)
    await ctx.tick()
    ctx.set(bench.core.clear_counters, 0)
    bench.words.clear()
    bench.rows.clear()


@pytest.mark.parametrize("seed", range(150 if SOAK else 6))
def test_halts_and_clears_leave_no_trace(seed):
    rng = np.random.default_rng(seed)
    chip = small_chip(rng)
    frames = random_chips.frames(rng, chip.network, STEPS)
    start = rng.random(STEPS) < 0.3
    gaps, stalls = rng.choice((0.0, 0.4), 2).tolist()
    bench, want = CoreBench(chip, seed, gaps, stalls), expected(chip.network, frames, start)

    async def scenario(ctx):
        if rng.integers(2):
            await ruin(ctx, bench, rng)
        for step, (frame, flag) in enumerate(zip(frames, start, strict=True)):
            for place in range(len(frame)):
                if rng.random() < 0.15:
                    await halted(ctx, bench, rng, step, between=place == 0)
                first, last = place == 0, place == len(frame) - 1
                await bench.send(ctx, frame[place : place + 1], bool(flag) & first, last=last)
        await bench.settle(ctx, STEPS)
        assert np.array_equal(await bench.saturation(ctx), want.saturation)
        assert await bench.count(ctx, "STEPS") == STEPS

    bench.run(scenario)
    bench.compare(want)
