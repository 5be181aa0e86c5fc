"""A chip that learns under test: its drivers, monitors and registers beside the integer model."""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
import random_chips
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from driver import FrameDriver
from learning_in_simulation import Course, LearningChip, Wanted, wanted
from monitor import ERRORS, FrameMonitor, HandshakeMonitor, ProbeMonitor, StateMonitor
from registers import RegisterDriver
from tops import LEARNERS

from vle.compiler.learning.chip_words import registers_of, words_of

CHIP = LEARNERS[os.environ["VLE_TOP"]]()
NET, LAYERS = CHIP.learning, CHIP.network.layers


class Bench:
    """Drivers, monitors and registers around a chip that has just been reset, and its model."""

    def __init__(self, dut, gaps: float, stalls: float, probe_stalls: float) -> None:
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.numbers = np.random.default_rng(cocotb.RANDOM_SEED)
        cocotb.log.info("seed %d, gaps %g, stalls %g", cocotb.RANDOM_SEED, gaps, stalls)
        self.driver = FrameDriver(dut, gaps, self.rng)
        self.targets = FrameDriver(dut, gaps, self.rng, "s_axis_target")
        self.monitor = FrameMonitor(dut, stalls, self.rng)
        self.probes = ProbeMonitor(dut, probe_stalls, self.rng)
        self.handshakes = HandshakeMonitor(dut, ("m_axis_probe_t",))
        engines = len(CHIP.folding.engines)
        self.states = StateMonitor(dut, engines)
        self.errors = StateMonitor(dut, engines, "error_", ERRORS)
        self.registers = RegisterDriver(dut, CHIP)
        self.state = NET.reset()

    @classmethod
    async def reset(cls, dut, *, gaps=0.0, stalls=0.0, probe_stalls=0.0) -> Bench:
        """Start the clock, hold the reset input, load what a chip has at power-up."""
        dut.rst.value = 1
        bench = cls(dut, gaps, stalls, probe_stalls)
        cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
        await ClockCycles(dut.clk, 5)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 5)
        await bench.registers.halt()
        await bench.load()
        await bench.registers.resume()
        return bench

    def places(self):
        """Yield window, byte addresses and words of what a reset input leaves in the memories."""
        words = words_of(NET, self.state)
        for key, window in self.registers.map.windows.items():
            if key[0] in ("weight", "bias"):
                place = window.matrix if key[0] == "weight" else window.vector
                yield window, place(*words[key].shape), words[key]

    async def load(self) -> None:
        """Write what the reset input keeps and an earlier test has changed."""
        for _, addresses, words in self.places():
            for address, word in zip(addresses.flat, words.flat, strict=True):
                await self.registers.poke(address, word)
        for name, word in self.kept().items():
            await self.registers.poke(self.registers.map.address[name], word)

    def kept(self) -> dict[str, int]:
        """Return the registers that a reset keeps: exponents and draws."""
        names = ("EXPONENT", "NOISE")
        return {k: word for k, word in registers_of(self.state).items() if k.startswith(names)}

    async def check_learned(self) -> None:
        """Compare weights, biases, exponents and draws."""
        await self.registers.halt()
        for window, addresses, words in self.places():
            raw = np.array([await self.registers.peek(a) for a in addresses.flat], np.uint32)
            assert window.decode(raw).tolist() == words.ravel().tolist(), window.name
        for name, word in self.kept().items():
            assert await self.registers.read(name) == word, name
        await self.registers.resume()

    def course(self, steps: int) -> Course:
        """Draw steps of all kinds."""
        frames = random_chips.frames(self.numbers, CHIP.network, steps)
        targets = random_chips.targets(self.numbers, NET, steps)
        return Course.random(self.numbers, frames, targets)

    def send(self, course: Course) -> None:
        """Queue frames and targets."""
        for t, frame in enumerate(course.frames):
            user = course.start[t] | course.has_target[t] << 1 | course.freeze[t] << 2
            self.driver.send(frame, user=int(user))
            if course.has_target[t]:
                self.targets.send(course.targets[t], user=int(course.is_error[t]))

    async def compare(self, course: Course) -> Wanted:
        """Send a course; check every output, every state and error, and what was learned."""
        self.send(course)
        return await self.check(course)

    async def check(self, course: Course) -> Wanted:
        """Check what comes of a course that was sent."""
        want = wanted(NET, self.state, course)
        got = [await self.monitor.receive() for _ in course.frames]
        await self.registers.until_idle()
        assert [words.tolist() for words, _ in got] == want.r[-1].tolist()
        trace, errors = self.states.take(), self.errors.take()
        for k in range(len(LAYERS)):
            steps = ~want.held[k]
            LearningChip._compare(k, trace, {"u": want.u[k][steps], "r": want.r[k][steps]})
            exponent = np.broadcast_to(want.exponent[k][:, None], want.e[k].shape)
            words = {"e": want.e[k], "v": want.v[k], "exponent": exponent}
            LearningChip._compare(k, errors, words)
        self.state = want.state
        await self.check_learned()
        cocotb.log.info("%d steps, %d rows, 0 differ", len(course), trace.size + errors.size)
        return want
