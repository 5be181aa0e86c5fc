"""Softmax of the top layer against the integer model, and its latency."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from bounded import simulate

from vle.compiler.circuit.latency import SOFTMAX_STAGES
from vle.compiler.fixed import Fixed
from vle.compiler.learning import top
from vle.hw.softmax import Softmax


def layer(outputs: int, rate: Fixed):
    rng = np.random.default_rng(outputs)
    one = random_chips.layer(rng, "top", 2, outputs, x_format=rate, rate_width=rate.width)
    object.__setattr__(one, "rate_format", rate)
    return one


def frames(outputs: int, rate: Fixed) -> list[np.ndarray]:
    """Rates of all sizes: all alike, far apart, rising, falling, at the ends."""
    rng = np.random.default_rng(1)
    ends = np.where(np.arange(outputs) % 2, rate.low, rate.high)
    rising = np.linspace(rate.low, rate.high, outputs).astype(np.int64)
    some = [rng.integers(rate.low >> k, (rate.high >> k) + 1, outputs) for k in (0, 2, 4, 8)]
    return [np.zeros(outputs, np.int64), ends, rising, rising[::-1], *some]


@pytest.mark.parametrize(
    ("outputs", "rate"),
    [(1, Fixed(2, 14)), (2, Fixed(4, 12)), (10, Fixed(4, 12)), (33, Fixed(8, 8)), (5, Fixed(3, 9))],
)
def test_softmax(outputs, rate):
    """Rates with gaps between; the first probability as soon as is promised, then one per clock."""
    spec, rng = layer(outputs, rate), np.random.default_rng(2)
    unit = Softmax(spec)
    assert unit.nothing == top.softmax(np.zeros(outputs, np.int64), rate.f_bits)[0]

    async def probabilities(ctx) -> list[int]:
        got = []
        for k in range(outputs + 2):
            ctx.set(unit.index, min(k, outputs - 1))
            if k >= 2:
                got.append(ctx.get(unit.o))
            await ctx.tick()
        return got

    async def scenario(ctx):
        assert ctx.get(unit.ready)
        for r in frames(outputs, rate):
            for k, word in enumerate(r):
                for _ in range(int(rng.integers(3)) - 1):
                    await ctx.tick()
                ctx.set(unit.w_valid, 1)
                ctx.set(unit.w_index, k)
                ctx.set(unit.w_data, int(word))
                await ctx.tick()
                ctx.set(unit.w_valid, 0)
            clocks = 1
            while not ctx.get(unit.ready):
                await ctx.tick()
                clocks += 1
            assert clocks == SOFTMAX_STAGES
            assert await probabilities(ctx) == top.softmax(r, rate.f_bits).tolist()

    simulate(unit, scenario)


def test_rates_from_the_bus():
    """Rates written are read back, and their probabilities follow."""
    rate, outputs = Fixed(4, 12), 6
    spec = layer(outputs, rate)
    unit, r = Softmax(spec), np.array([5, -30000, 12000, 11000, 0, -4])

    async def scenario(ctx):
        ctx.set(unit.access.active, 1)
        for k, word in enumerate(r):
            ctx.set(unit.access.address, k)
            ctx.set(unit.access.w_data, int(word) & 0xFFFFFFFF)
            ctx.set(unit.access.write, 1)
            await ctx.tick()
            ctx.set(unit.access.write, 0)
            await ctx.tick().repeat(3)
        assert not ctx.get(unit.ready)
        for k, word in enumerate(r):
            ctx.set(unit.access.address, k)
            await ctx.tick().repeat(4)
            assert ctx.get(unit.access.r_data) == int(word) & 0xFFFFFFFF
        await ctx.tick().until(unit.ready)
        ctx.set(unit.access.active, 0)
        for k, want in enumerate(top.softmax(r, rate.f_bits)):
            ctx.set(unit.index, k)
            await ctx.tick().repeat(2)
            assert ctx.get(unit.o) == want

    simulate(unit, scenario)
