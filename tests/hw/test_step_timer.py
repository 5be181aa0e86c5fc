"""Steps tied to time: one frame at each tick, late ones counted."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal
from bounded import simulate
from conftest import SEED

from vle.hw import axi_stream
from vle.hw.standalone.framer import Framer
from vle.hw.standalone.scaler import Scaler, scaled
from vle.hw.standalone.step_timer import StepTimer

INPUTS = 3


class Chip:
    """Takes frames, answers each some clocks later, and says when each began."""

    def __init__(self, latency, ready=1.0):
        self.latency, self.ready, self.frames, self.begun = latency, ready, [], []

    async def __call__(self, ctx, timer, rng):
        frame, answers, cycle = [], [], 0
        while True:
            ready = rng.random() < self.ready
            ctx.set(timer.o.tready, ready)
            answered = bool(answers) and answers[0] <= cycle
            ctx.set(timer.answered, answered)
            if answered:
                answers.pop(0)
            _, _, valid, word, last = await ctx.tick().sample(
                timer.o.tvalid, timer.o.tdata, timer.o.tlast
            )
            if valid and ready:
                if not frame:
                    self.begun.append(cycle)
                frame.append(word)
                if last:
                    if len(frame) == INPUTS:
                        answers.append(cycle + self.latency)
                    self.frames.append(tuple(frame))
                    frame = []
            cycle += 1


async def send(ctx, timer, frames, waits):
    for wait, frame in zip(waits, frames, strict=True):
        if wait:
            await ctx.tick().repeat(wait)
        for k, word in enumerate(frame):
            ctx.set(timer.i.tdata, word)
            ctx.set(timer.i.tlast, k == len(frame) - 1)
            ctx.set(timer.i.tvalid, 1)
            await ctx.tick().until(timer.i.tready)
            ctx.set(timer.i.tvalid, 0)


def frames_of(count, rng, length=INPUTS):
    return [tuple(rng.randrange(99) for _ in range(length)) for _ in range(count)]


def run(timer, chip, frames, waits, *, period, cycles, seed=SEED):
    counts = {}

    async def host(ctx):
        ctx.set(timer.period, period)
        await ctx.tick()
        await send(ctx, timer, frames, waits)

    async def end(ctx):
        await ctx.tick().repeat(cycles)
        counts.update(ticks=ctx.get(timer.ticks), overruns=ctx.get(timer.overruns))

    async def answers(ctx):
        await chip(ctx, timer, random.Random(seed))

    simulate(timer, end, background=[host, answers])
    return counts


def test_a_frame_begins_with_each_tick():
    rng = random.Random(SEED)
    timer, chip, frames = StepTimer(INPUTS, axi_stream.Signature(16)), Chip(20), frames_of(12, rng)
    counts = run(timer, chip, frames, [0] * 12, period=50, cycles=50 * 12 + 20)
    assert chip.frames == frames
    assert {b - a for a, b in zip(chip.begun, chip.begun[1:], strict=False)} == {50}
    assert counts == {"ticks": 12, "overruns": 0}


def test_ticks_without_a_frame_and_steps_that_last_too_long_are_counted():
    """A frame that is late waits for the next tick; nothing begins between two."""
    rng = random.Random(SEED)
    timer, chip, frames = StepTimer(INPUTS, axi_stream.Signature(16)), Chip(70), frames_of(6, rng)
    counts = run(timer, chip, frames, [0] * 6, period=50, cycles=620)
    assert chip.frames == frames
    assert {b - a for a, b in zip(chip.begun, chip.begun[1:], strict=False)} == {100}
    assert counts == {"ticks": 12, "overruns": 6}
    timer, chip = StepTimer(INPUTS, axi_stream.Signature(16)), Chip(5)
    counts = run(timer, chip, frames, [0, 120, 0, 0, 0, 0], period=50, cycles=520)
    assert chip.frames == frames
    assert len({b % 50 for b in chip.begun}) == 1
    assert counts["ticks"] - counts["overruns"] == len(frames)


def test_a_frame_that_the_chip_drops_holds_nothing_up():
    """One of another length has no answer."""
    rng = random.Random(SEED)
    timer, chip = StepTimer(INPUTS, axi_stream.Signature(16)), Chip(5)
    frames = [*frames_of(2, rng), *frames_of(2, rng, 2), *frames_of(2, rng, 5), *frames_of(2, rng)]
    counts = run(timer, chip, frames, [0] * 8, period=40, cycles=40 * 8 + 20)
    assert chip.frames == frames
    assert counts["overruns"] == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("period", [0, 30])
def test_no_frame_is_lost_doubled_or_torn(seed, period):
    """Random waits on both sides; what is offered stays until it is taken."""
    rng = random.Random(SEED + seed)
    timer, chip, frames = (
        StepTimer(INPUTS, axi_stream.Signature(16)),
        Chip(9, 0.4),
        frames_of(40, rng),
    )
    seen = []

    async def watch(ctx):
        before = None
        async for _, _, valid, ready, word in ctx.tick().sample(
            timer.o.tvalid, timer.o.tready, timer.o.tdata
        ):
            if before is not None:
                assert valid
                assert word == before
            before = word if valid and not ready else None
            seen.append(valid)

    async def host(ctx):
        ctx.set(timer.period, period)
        await ctx.tick()
        await send(ctx, timer, frames, [rng.randrange(60) for _ in frames])
        await ctx.tick().repeat(200)

    async def answers(ctx):
        await chip(ctx, timer, random.Random(seed))

    simulate(timer, host, background=[answers, watch])
    assert chip.frames == frames
    assert any(seen)


@pytest.mark.parametrize(("sample", "width"), [(13, 8), (11, 16), (24, 16), (24, 5)])
def test_samples_become_the_nearest_words(sample, width):
    rng = random.Random(SEED)
    dut = Scaler(sample, width)
    low, high = -(1 << sample - 1), (1 << sample - 1) - 1
    cases = [(low, 0, 0), (high, 0, 0), (high, low, 0), (low, high, 0), (low, high, 31)]
    cases += [
        (rng.randint(low, high), rng.choice((0, rng.randint(low, high))), rng.randrange(-32, 32))
        for _ in range(60)
    ]
    cases += [(rng.randint(low, high), 0, width - sample) for _ in range(40)]

    async def use(ctx):
        ctx.set(dut.o.ready, 1)
        for value, offset, shift in cases:
            ctx.set(dut.i.payload, value)
            ctx.set(dut.offset, offset)
            ctx.set(dut.shift, shift)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            [got] = await ctx.tick().sample(dut.o.payload).until(dut.o.valid)
            assert got == scaled(value, offset, shift, width), (value, offset, shift)

    simulate(dut, use)


def test_samples_become_frames():
    """Wrong ones and those that come while a frame stands there spoil their frame, and no other."""
    m, dut = Module(), Framer(3, 12, axi_stream.Signature(16, 3))
    m.submodules.dut, ready = dut, Signal()
    m.d.comb += [dut.o.tready.eq(ready), dut.user.eq(4)]
    got = []

    async def put(ctx, words, wrong=None):
        for k, word in enumerate(words):
            ctx.set(dut.i.payload, {"data": word, "first": k == 0, "wrong": k == wrong})
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            await ctx.tick()

    async def use(ctx):
        ctx.set(ready, 1)
        await put(ctx, (1, -2, 3))
        await put(ctx, (4, 5, 6), wrong=1)
        await put(ctx, (7, 8))
        await put(ctx, (-9, 10, 11))
        await ctx.tick().repeat(5)
        ctx.set(ready, 0)
        await put(ctx, (12, 13, 14))
        await put(ctx, (15,))
        ctx.set(ready, 1)
        await ctx.tick().repeat(5)
        await put(ctx, (16, 17))
        await put(ctx, (18, 19, 20))
        await ctx.tick().repeat(5)
        ctx.set(ready, 0)
        await put(ctx, (21, 22, 23))
        ctx.set(dut.drop, 1)
        await ctx.tick()
        ctx.set(dut.drop, 0)
        ctx.set(ready, 1)
        await put(ctx, (24, 25, 26))
        await ctx.tick().repeat(9)

    async def watch(ctx):
        frame = []
        o = dut.o
        async for _, _, moves, word, last, user in ctx.tick().sample(
            o.tvalid & o.tready, o.tdata.as_signed(), o.tlast, o.tuser
        ):
            if moves:
                frame.append(word)
                assert user == 4
                if last:
                    got.append(tuple(frame))
                    frame = []

    simulate(m, use, background=[watch])
    assert got == [(1, -2, 3), (-9, 10, 11), (12, 13, 14), (18, 19, 20), (24, 25, 26)]
