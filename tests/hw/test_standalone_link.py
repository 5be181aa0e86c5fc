"""What stands between link and chip, reached from a host as on a board: byte by byte."""

from __future__ import annotations

import numpy as np
import random_chips
from amaranth.sim import Simulator
from conftest import SEED
from expected import expected
from flash_model import FlashModel
from sensor_models import MCP3208, Mcp
from test_standalone import FLASH, plain_chip

from vle.compiler.circuit.link import LinkSpec
from vle.compiler.circuit.registers import CTRL
from vle.host.board import Board
from vle.host.link.line import Timing
from vle.host.link.records import WordBytes
from vle.host.link.requests import Registers
from vle.host.link.session import Session
from vle.host.link.transport import LinkTransport
from vle.hw.shell import Shell
from vle.hw.standalone.parts import Adc, Parts
from vle.hw.standalone.scaler import scaled
from vle.hw.standalone.standalone import Standalone
from vle.hw.top import Top

CLOCK_HZ = 1_000_000


class SimulatedShell:
    """A board in Amaranth's simulator as a line of bytes; its time is that of its clock."""

    name, timing = "a board in simulation", Timing(0.02, 0.5, 1.0)

    def __init__(self, chip, parts, *models) -> None:
        self.alone = Standalone(chip, parts)
        spec = LinkSpec.of_chip(chip, payload_max=120, slots=2)
        self.shell = Shell(Top(chip), spec, clock_hz=CLOCK_HZ, standalone=self.alone)
        self.going, self.come, self.cycles = bytearray(), bytearray(), 0
        self.simulator = Simulator(self.shell)
        self.simulator.add_clock(1 / CLOCK_HZ)
        self.simulator.add_testbench(self._line, background=True)
        for model, pads in models:
            self.simulator.add_testbench(self._driven(model, pads(self.alone)), background=True)

    @staticmethod
    def _driven(model, pads):
        async def drive(ctx):
            await model(ctx, pads)

        return drive

    async def _line(self, ctx):
        i, o = self.shell.i, self.shell.o
        ctx.set(o.ready, 1)
        while True:
            going = bool(self.going)
            ctx.set(i.valid, going)
            ctx.set(i.payload, self.going[0] if going else 0)
            _, _, taken, valid, byte = await ctx.tick().sample(i.ready, o.valid, o.payload)
            if going and taken:
                del self.going[0]
            if valid:
                self.come.append(byte)
            self.cycles += 1

    def now(self) -> float:
        return self.cycles / CLOCK_HZ

    def write(self, data: bytes) -> None:
        self.going += data

    def read(self, seconds: float) -> bytes:
        """Run until something has come and nothing more comes, at the longest for some seconds."""
        end = self.cycles + max(1, round(seconds * CLOCK_HZ))
        while self.cycles < end:
            before = len(self.come)
            self.simulator.run_until((self.cycles + 40) / CLOCK_HZ)
            if self.come and len(self.come) == before:
                break
        got, self.come = bytes(self.come), bytearray()
        return got

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_host_reaches_timer_and_flash_over_the_link():
    chip = plain_chip()
    content = bytearray(b"\xff" * FLASH.size)
    line = SimulatedShell(
        chip,
        Parts(CLOCK_HZ, flash=FLASH),
        (FlashModel(content, page=FLASH.page, sector=FLASH.sector), lambda alone: alone.flash),
    )
    session = Session(line, clear=True)
    board = Board(Registers(session))
    assert board.clock_hz == CLOCK_HZ
    assert board.damaged == 0
    assert board.kept.sequence == 0
    board.save()
    assert board.kept.sequence == 1
    board.period = 200
    frames = random_chips.frames(np.random.default_rng(SEED), chip.network, 6)
    flags = bytes((1,)), bytes((0,))
    session.put([flags[k > 0] + row.astype("<i2").tobytes() for k, row in enumerate(frames)])
    outputs = session.incoming.outputs
    session.until(lambda: len(outputs) >= 2 * 2 * 6, waiting=True)
    got = np.frombuffer(bytes(outputs), "<i2").reshape(6, 2)
    want = expected(chip.network, frames, np.arange(6) == 0).outputs
    assert np.array_equal(got, want)
    assert board.steps == 6


def test_a_host_listens_to_a_sensor_and_then_has_its_turn():
    chip = plain_chip()
    parts = Parts(CLOCK_HZ, sensor=Adc("mcp3208", (0, 1)), period=2000, sensing=True)
    adc = Mcp(MCP3208, CLOCK_HZ, 12, lambda channel: 100 + channel)
    line = SimulatedShell(chip, parts, (adc, lambda alone: alone.sensor))
    transport = LinkTransport(Session(line, clear=True), WordBytes(2, 2, 2))
    board = Board(transport)
    assert board.senses
    got = np.concatenate([transport.listen(count, 2, None) for count in (1, 3)])
    width = chip.network.layers[0].x_format.width
    words = [scaled(100 + channel, 0, width - 13, width) for channel in (0, 1)]
    want = expected(chip.network, np.array([words] * 6)).outputs
    assert any(np.array_equal(got, want[first : first + 4]) for first in range(3))
    board.listen_to_host()
    assert not board.senses
    board.period = 0
    transport.write([4 * CTRL.address], [CTRL.mask("clear")])
    frames = random_chips.frames(np.random.default_rng(SEED), chip.network, 4).astype(np.int32)
    answers = transport.exchange(frames, np.arange(4) == 0, 2)
    assert np.array_equal(answers, expected(chip.network, frames, np.arange(4) == 0).outputs)
