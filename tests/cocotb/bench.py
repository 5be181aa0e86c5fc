"""The bench that every top runs: frames, states, counters, registers, resets, wrong lengths.

Runs inside the simulator; `test_tops.py` builds and starts it. Which chip is under test, and how
many frames it gets, comes in the environment.
"""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
import random_chips
from checker import check_frames, check_state
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from driver import FrameDriver
from expected import expected
from monitor import FrameMonitor, HandshakeMonitor, StateMonitor
from registers import RegisterDriver
from tops import TOPS

CHIP = TOPS[os.environ["VLE_TOP"]]()
SPEC = CHIP.network
FRAMES = int(os.environ["VLE_FRAMES"])
INPUTS = SPEC.layers[0].inputs
WATCHDOG = {"timeout_time": 100 + 2 * FRAMES, "timeout_unit": "us"}  # at 2 ns a cycle


class Bench:
    """Driver, monitors and registers around a chip that has just been reset."""

    def __init__(self, dut, gaps: float, stalls: float) -> None:
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.numbers = np.random.default_rng(cocotb.RANDOM_SEED)
        cocotb.log.info("seed %d, gaps %g, stalls %g", cocotb.RANDOM_SEED, gaps, stalls)
        self.driver = FrameDriver(dut, gaps, self.rng)
        self.monitor = FrameMonitor(dut, stalls, self.rng)
        self.handshakes = HandshakeMonitor(dut)
        self.states = StateMonitor(dut, len(CHIP.folding.engines))
        self.registers = RegisterDriver(dut, CHIP)

    @classmethod
    async def reset(cls, dut, *, gaps: float = 0.0, stalls: float = 0.0) -> Bench:
        """Start the clock and hold the reset input for a while."""
        dut.rst.value = 1
        bench = cls(dut, gaps, stalls)
        cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
        await ClockCycles(dut.clk, 5)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 5)
        return bench

    def frames(self, count: int) -> np.ndarray:
        """Random input frames."""
        return random_chips.frames(self.numbers, SPEC, count)

    async def compare(self, frames, start=None, *, spec=SPEC, state=None):
        """Send frames, take as many, and check every word of them and of every state."""
        want = expected(spec, frames, start, state)
        for index, frame in enumerate(frames):
            self.driver.send(frame, start=bool(start is not None and start[index]))
        got = [await self.monitor.receive() for _ in frames]
        await self.registers.until_idle()
        check_frames(want, got)
        words = check_state(want, self.states.take())
        cocotb.log.info("%d frames, %d state words, 0 differ", len(frames), words)
        return want


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(gaps=[0.0, 0.3], stalls=[0.0, 0.3])
async def test_every_word_of_every_step(dut, gaps, stalls):
    bench = await Bench.reset(dut, gaps=gaps, stalls=stalls)
    want = await bench.compare(bench.frames(FRAMES))
    assert (await bench.registers.saturation()).tolist() == want.saturation.tolist()
    assert await bench.registers.read("STEPS") == FRAMES
    assert bench.handshakes.words["m_axis_t"] == want.outputs.size
    assert bench.handshakes.words["s_axil_r"] > 0


@cocotb.test(**WATCHDOG)
async def test_sequences_begin_in_mid_stream(dut):
    bench = await Bench.reset(dut, gaps=0.2, stalls=0.2)
    start = bench.numbers.random(FRAMES) < 0.3
    start[0] = True
    await bench.compare(bench.frames(FRAMES), start)


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(words=[*range(1, INPUTS)] or [0])
async def test_reset_in_mid_frame(dut, words):
    """After some whole frames and `words` of one more; a frame of one word is at work instead."""
    bench = await Bench.reset(dut, stalls=0.5)
    whole = bench.rng.randrange(1, 4)
    for frame in bench.frames(whole + 1):
        bench.driver.send(frame)
    sent = 0
    while sent < whole * INPUTS + words:
        await RisingEdge(dut.clk)
        sent += dut.s_axis_tvalid.value == 1 and dut.s_axis_tready.value == 1
    assert sent % INPUTS == words
    assert words or bench.handshakes.words["m_axis_t"] < whole * SPEC.layers[-1].outputs
    dut.rst.value = 1
    bench.driver.source.clear()
    await ClockCycles(dut.clk, 3)
    bench.monitor.sink.clear()
    dut.rst.value = 0
    await ClockCycles(dut.clk, 3)
    bench.states.take()
    await bench.compare(bench.frames(FRAMES // 2))


@cocotb.test(**WATCHDOG)
async def test_parameters_change_between_frames(dut):
    bench = await Bench.reset(dut, gaps=0.1)
    before = await bench.compare(bench.frames(3))
    await bench.registers.halt()
    assert await bench.registers.same_parameters(SPEC)
    other = random_chips.other_parameters(bench.numbers, SPEC)
    await bench.registers.load(other)
    assert await bench.registers.same_parameters(other)
    await bench.registers.resume()
    await bench.compare(bench.frames(4), spec=other, state=before.state)
    await bench.registers.halt()
    await bench.registers.load(SPEC)


@cocotb.test(**WATCHDOG)
async def test_frames_of_wrong_length_are_dropped(dut):
    bench = await Bench.reset(dut, gaps=0.1)
    good = bench.frames(4)
    want = expected(SPEC, good)
    wrong = 0
    for frame in good:
        for length in {len(frame) - 1, len(frame) + 1, 2 * len(frame) + 3} - {0}:
            bench.driver.send(bench.numbers.integers(-9, 9, length))
            wrong += 1
        bench.driver.send(frame)
    check_frames(want, [await bench.monitor.receive() for _ in good])
    await bench.registers.until_idle()
    check_state(want, bench.states.take())
    assert await bench.registers.read("FRAME_ERRORS") == wrong


@cocotb.test(**WATCHDOG)
async def test_registers_refuse_what_they_cannot_do(dut):
    bench = await Bench.reset(dut)
    await bench.registers.check_refusals()
    await bench.compare(bench.frames(2))
