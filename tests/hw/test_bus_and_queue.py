"""A register in the bus passes accesses on once each; the queue of steps is a queue."""

from __future__ import annotations

import random

import pytest
from bounded import simulate

from vle.hw.bus_stage import BusStage
from vle.hw.step_queue import StepQueue

CLOCKS = 2000


@pytest.mark.parametrize("depth", [2, 3, 5, 8])
@pytest.mark.parametrize("busy", [0.2, 0.5, 0.9])
def test_step_queue(depth, busy):
    """Under any rates the first word stands from the clock after it was put in."""
    queue, rng, words = StepQueue(2, depth), random.Random(depth), []

    async def testbench(ctx):
        taken = 0
        for _ in range(CLOCKS):
            assert ctx.get(queue.ready) == bool(words)
            assert not words or ctx.get(queue.first) == words[0]
            take = bool(words) and rng.random() < 1 - busy
            put = len(words) < depth and rng.random() < busy
            word = rng.randrange(4)
            ctx.set(queue.take, take)
            ctx.set(queue.put, put)
            ctx.set(queue.word, word)
            words[:] = words[take:] + [word] * put
            taken += take
            await ctx.tick()
        assert taken > CLOCKS / 20

    simulate(queue, testbench)


def test_bus_stage():
    """Each access comes through once, whatever the target's pauses, and its answer comes back."""
    stage, rng, seen = BusStage(8), random.Random(1), []

    async def target(ctx):
        bus, pause = stage.o, 0
        async for *_, read, write, address, data, done in ctx.tick().sample(
            bus.read, bus.write, bus.addr, bus.w_data, bus.done
        ):
            ctx.set(bus.done, 0)
            if not (read or write) or done:
                pause = rng.randrange(4)
                continue
            pause -= 1
            if pause < 0:
                seen.append((address, write, data if write else None))
                ctx.set(bus.done, 1)
                ctx.set(bus.r_data, address * 3)
                ctx.set(bus.error, address % 2)

    async def testbench(ctx):
        bus, asked = stage.i, []
        for _ in range(100):
            address, write, data = rng.randrange(256), rng.randrange(2), rng.randrange(1 << 32)
            asked.append((address, write, data if write else None))
            ctx.set(bus.addr, address)
            ctx.set(bus.w_data, data)
            ctx.set(bus.write if write else bus.read, 1)
            *_, r_data, error = await ctx.tick().sample(bus.r_data, bus.error).until(bus.done)
            assert (r_data, error) == (address * 3, address % 2)
            ctx.set(bus.write if write else bus.read, 0)
            for _ in range(rng.randrange(2)):
                await ctx.tick()
        assert seen == asked

    simulate(stage, testbench, background=[target])
