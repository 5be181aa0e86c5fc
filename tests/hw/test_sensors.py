"""Sensors against models of their data sheets."""

from __future__ import annotations

import random

import pytest
from bounded import simulate
from conftest import SEED
from sensor_models import MAX11125, MCP3008, MCP3208, I2sMicrophone, Max11125, Mcp

from vle.hw.standalone.adc import AdcMaster
from vle.hw.standalone.microphone import I2sReceiver
from vle.hw.standalone.parts import Adc, Microphone

MODELS = {
    "mcp3008": lambda hz, value: Mcp(MCP3008, hz, 10, value),
    "mcp3208": lambda hz, value: Mcp(MCP3208, hz, 12, value),
    "max11125": lambda hz, value: Max11125(MAX11125, hz, value),
    "late": lambda hz, value: Max11125(MAX11125, hz, value, late=2),
}


@pytest.mark.parametrize("clock_hz", [12e6, 25e6, 100e6])
@pytest.mark.parametrize("name", MODELS)
def test_an_adc_gives_a_sample_of_each_channel(name, clock_hz):
    rng = random.Random(SEED)
    chip = "max11125" if name == "late" else name
    channels = [rng.randrange(8) for _ in range(rng.randint(1, 5))]
    dut = AdcMaster(Adc(chip, tuple(channels)), int(clock_hz))
    values, taken, got = {k: rng.getrandbits(dut.chip.bits) for k in range(8)}, [], []
    model = MODELS[name](clock_hz, lambda channel: values[channel])

    async def use(ctx):
        for order in (channels, channels[::-1]):
            ctx.set(dut.channels, sum(c << 4 * k for k, c in enumerate(order)))
            taken.extend(values[c] for c in order)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().until(~dut.busy)

    async def hear(ctx):
        async for _, _, valid, word, failed, first in ctx.tick().sample(
            dut.o.valid, dut.o.payload, dut.failed, dut.first
        ):
            if valid:
                assert not failed
                assert first == (len(got) % len(channels) == 0)
                got.append(word)

    async def adc(ctx):
        await model(ctx, dut.pads)

    simulate(dut, use, background=[adc, hear], cycles=200_000)
    assert got == taken
    times = dut.chip.times
    assert model.asked == [c for c in (*channels, *channels[::-1]) for _ in range(times)]


def test_an_answer_for_another_channel_is_not_believed():
    dut = AdcMaster(Adc("max11125", (1, 2)), 25_000_000)
    model, seen = Max11125(MAX11125, 25e6, lambda channel: 7, late=5), []

    async def use(ctx):
        ctx.set(dut.channels, 0x21)
        ctx.set(dut.start, 1)
        await ctx.tick()
        await ctx.tick().until(~dut.busy)

    async def hear(ctx):
        async for _, _, valid, failed in ctx.tick().sample(dut.o.valid, dut.failed):
            if valid:
                seen.append(failed)

    async def adc(ctx):
        await model(ctx, dut.pads)

    simulate(dut, use, background=[adc, hear])
    assert seen == [1, 1]


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("clock_hz", [12e6, 50e6])
def test_a_microphone_is_heard_bit_by_bit(sides, clock_hz):
    rng = random.Random(SEED)
    dut = I2sReceiver(Microphone(sides), int(clock_hz))
    words = [[rng.getrandbits(24) for _ in range(9)] for _ in range(2)]
    model = I2sMicrophone(clock_hz, *(row.__getitem__ for row in words[:sides]))
    got = [[], []]

    async def use(ctx):
        for _ in range(8):
            for _ in range(2):
                word, right = await ctx.tick().sample(dut.o.payload, dut.right).until(dut.o.valid)
                got[right].append(word & 0xFFFFFF)

    async def mic(ctx):
        await model(ctx, dut.pads)

    simulate(dut, use, background=[mic], cycles=40_000)
    for side in range(sides):  # the first one is cut: the microphone has not yet seen WS change
        heard = got[side][1:]
        assert heard == words[side][: len(heard)]
        assert len(heard) == 7
