"""The SPI against a master of its own kind: any clock, pauses, `cs_n` between and within bytes."""

from __future__ import annotations

import random

import pytest
from bounded import simulate

from vle.hw.link.spi import SpiDevice


class Master:
    """Mode 0: sets `mosi` before `sck` rises, samples `miso` as it rises."""

    def __init__(self, ctx, spi: SpiDevice, half: int, rng: random.Random) -> None:
        self.ctx, self.spi, self.half, self.rng = ctx, spi, half, rng

    async def select(self, on: bool) -> None:
        self.ctx.set(self.spi.cs_n, not on)
        await self.ctx.tick().repeat(2 * self.half)

    async def byte(self, out: int, bits: int = 8) -> int:
        heard = 0
        for bit in range(bits):
            self.ctx.set(self.spi.mosi, out >> 7 - bit & 1)
            await self.ctx.tick().repeat(self.half)
            heard = heard << 1 | self.ctx.get(self.spi.miso)
            self.ctx.set(self.spi.sck, 1)
            await self.ctx.tick().repeat(self.half)
            self.ctx.set(self.spi.sck, 0)
        if self.rng.random() < 0.2:
            await self.ctx.tick().repeat(self.rng.randrange(1, 30))
        return heard


def run(scenario, *, feed=(), chance: float = 1.0, seed: int = 1) -> list[int]:
    """Return the bytes that came; `feed` goes out as fast as `chance` lets it."""
    spi, rng, came, feed = SpiDevice(), random.Random(seed), [], list(feed)

    async def main(ctx):
        await scenario(ctx, spi, rng)

    async def hear(ctx):
        ctx.set(spi.o.ready, 1)
        while True:
            _, _, valid, byte = await ctx.tick().sample(spi.o.valid, spi.o.payload)
            if valid:
                came.append(byte)

    async def say(ctx):
        while True:
            if not feed or rng.random() > chance:
                await ctx.tick()
                continue
            ctx.set(spi.i.payload, feed[0])
            ctx.set(spi.i.valid, 1)
            taken = 0
            while not taken:
                _, _, taken = await ctx.tick().sample(spi.i.ready)
            ctx.set(spi.i.valid, 0)
            feed.pop(0)

    simulate(spi, main, background=[hear, say])
    assert not feed
    return came


@pytest.mark.parametrize("half", [4, 7])
@pytest.mark.parametrize("chance", [1.0, 0.003])
def test_both_ways_at_once(half, chance):
    """What goes out comes whole and in order, with zeros where there was nothing to say."""
    rng = random.Random(half)
    going = [rng.randrange(1, 256) for _ in range(20)]
    coming, heard = [], []

    async def scenario(ctx, spi, rng):
        master = Master(ctx, spi, half, rng)
        await master.select(True)
        while len([byte for byte in heard if byte]) < len(going):
            if rng.random() < 0.3:
                await master.select(False)
                await master.select(True)
            coming.append(rng.randrange(256))
            heard.append(await master.byte(coming[-1]))
        await ctx.tick().repeat(10)

    assert run(scenario, feed=going, chance=chance) == coming
    assert [byte for byte in heard if byte] == going
    assert (0 in heard) == (chance < 1)


def test_a_byte_that_is_cut_is_dropped_and_told():
    errors = []

    async def scenario(ctx, spi, rng):
        master = Master(ctx, spi, 4, rng)
        for bits in range(1, 8):
            await master.select(True)
            await master.byte(0xFF, bits)
            ctx.set(spi.cs_n, 1)
            for _ in range(8):
                await ctx.tick()
                errors.append(ctx.get(spi.error))
        await master.select(True)
        await master.byte(0x5A)
        await master.select(False)

    assert run(scenario) == [0x5A]
    assert sum(errors) == 7


def test_what_was_shown_and_not_clocked_stays():
    heard = []

    async def scenario(ctx, spi, rng):
        master = Master(ctx, spi, 4, rng)
        for _ in range(3):
            await master.select(True)
            await master.select(False)
        await master.select(True)
        heard.extend([await master.byte(0) for _ in range(2)])

    run(scenario, feed=[0x81, 0x7E])
    assert heard == [0x81, 0x7E]


def test_clocks_without_selection_are_nothing():
    async def scenario(ctx, spi, rng):
        master = Master(ctx, spi, 4, rng)
        await master.byte(0x3C)
        await master.select(True)
        await master.byte(0xC3)

    assert run(scenario, feed=[0x11]) == [0xC3]
