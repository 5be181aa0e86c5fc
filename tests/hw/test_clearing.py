"""A chip that learns is reset a clock after `clear`: what is offered in that clock is not lost."""

from __future__ import annotations

import learners
import numpy as np
import random_chips
from core_bench import CoreBench
from expected import expected

STEPS = 3


async def offer(ctx, stream, frames: np.ndarray, clocks: int) -> None:
    """Offer words in so many clocks, wherever that ends."""
    words = [(int(word), k == len(frame) - 1) for frame in frames for k, word in enumerate(frame)]
    for _ in range(clocks):
        data, last = words[0]
        ctx.set(stream.payload.data, data)
        ctx.set(stream.payload.last, last)
        ctx.set(stream.valid, 1)
        if ctx.get(stream.ready):
            words.append(words.pop(0))
        await ctx.tick()
    ctx.set(stream.valid, 0)


def test_cleared_at_any_moment():
    """Frames and targets from the next clock on give what they give in a new chip."""
    chip = learners.chip_of(learners.learners(3, [3, 3, 1], [{"recurrent": True}, {}]), simd=2)
    rng, bench = np.random.default_rng(4), CoreBench(chip, 5, stalls=0.2)
    core, rounds = bench.core, 12

    async def scenario(ctx):
        ctx.set(core.i.payload.target, 1)
        ctx.set(core.i.payload.freeze, 1)
        ctx.set(core.target.payload.data, 50)
        ctx.set(core.target.payload.last, 1)  # of one output
        ctx.set(core.target.valid, 1)
        for _ in range(rounds):
            frames = random_chips.frames(rng, chip.network, 2 * STEPS)
            await offer(ctx, core.i, frames[STEPS:], int(rng.integers(1, 60)))
            await ctx.tick().repeat(int(rng.integers(1, 30)))
            for bit in (core.clear, core.clear_counters):
                ctx.set(bit, 1)
            ctx.set(core.target.valid, 0)
            await ctx.tick()
            for bit in (core.clear, core.clear_counters):
                ctx.set(bit, 0)
            ctx.set(core.target.valid, 1)
            await ctx.delay(1e-7)  # all have seen the clock before
            bench.words.clear()
            await bench.send_all(ctx, frames[:STEPS])
            await bench.settle(ctx, STEPS)
            want = expected(chip.network, frames[:STEPS])
            assert np.array_equal(bench.outputs()[0], want.outputs)
            assert np.array_equal(await bench.saturation(ctx), want.saturation)
            assert await bench.count(ctx, "STEPS") == STEPS

    bench.run(scenario)
