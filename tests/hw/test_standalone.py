"""A chip without a host: frames from a sensor at ticks, learned words through a power cut."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from bounded import simulate
from conftest import SEED, SOAK
from expected import expected
from flash_model import FlashModel
from sensor_models import MCP3208, I2sMicrophone, Mcp

from vle.compiler.circuit.board_registers import (
    BOARD_BASE,
    BOARD_REGISTERS,
    COMMANDS,
    FLASH_REGISTERS,
    FLASH_STATUS,
    SENSOR_REGISTERS,
    SENSORS,
    TIMER_REGISTERS,
    board_register,
)
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.kept import Kept
from vle.compiler.circuit.registers import register_map
from vle.hw.axi_lite import Master
from vle.hw.standalone.parts import Adc, Flash, Microphone, Parts
from vle.hw.standalone.scaler import scaled
from vle.hw.standalone.standalone import Standalone
from vle.hw.top import Top

CLOCK_HZ = 6_000_000
FLASH = Flash(256, 1 << 12, 64, 32)


class Board:
    """A chip, what stands before it, and a host with direct access to both."""

    def __init__(self, chip, parts):
        self.chip, self.parts, self.map = chip, parts, register_map(chip)
        self.m, self.alone, self.top = Module(), Standalone(chip, parts), Top(chip)
        self.m.submodules.alone, self.m.submodules.top = self.alone, self.top
        self.m.submodules.master = master = Master(self.map.address_width)
        connect(self.m, self.alone.core_bus, master.bus)
        connect(self.m, master.axi, self.top.s_axil)
        connect(self.m, self.alone.core_axis, self.top.s_axis)
        out = self.top.m_axis
        self.m.d.comb += [
            out.tready.eq(1),
            self.alone.answered.eq(out.tvalid & out.tready & out.tlast),
        ]
        self.outputs, self.frames, self.begun, self.cycle = [], [], [], 0

    def run(self, scenario, *models, cycles=100_000):
        async def main(ctx):
            self.ctx = ctx
            await scenario(self)

        def driven(model, pads):
            async def drive(ctx):
                await model(ctx, pads)

            return drive

        background = [self._watch, *(driven(*pair) for pair in models)]
        simulate(self.m, main, background=background, cycles=cycles)

    async def _watch(self, ctx):
        into, out, sent, heard = self.top.s_axis, self.top.m_axis, [], []
        async for _, _, *seen in ctx.tick().sample(
            *(into.tvalid & into.tready, into.tdata.as_signed(), into.tlast, into.tuser),
            *(out.tvalid & out.tready, out.tdata.as_signed(), out.tlast),
        ):
            self.cycle += 1
            if seen[0]:
                if not sent:
                    self.begun.append(self.cycle)
                sent.append(seen[1])
                if seen[2]:
                    self.frames.append((*sent, seen[3]))
                    sent = []
            if seen[4]:
                heard.append(seen[5])
                if seen[6]:
                    self.outputs.append(tuple(heard))
                    heard = []

    async def access(self, bus, address, word=None):
        self.ctx.set(bus.addr, address)
        self.ctx.set(bus.w_data, word or 0)
        way = bus.read if word is None else bus.write
        self.ctx.set(way, 1)
        data, error = await self.ctx.tick().sample(bus.r_data, bus.error).until(bus.done)
        self.ctx.set(way, 0)
        await self.ctx.tick()
        return data, error

    async def board(self, name, word=None):
        place = board_register(name).address - BOARD_BASE // 4
        data, error = await self.access(self.alone.board, place, word)
        assert not error, name
        return data

    async def core(self, name, word=None):
        data, error = await self.access(self.alone.host_bus, self.map.register(name).address, word)
        assert not error, name
        return data

    async def kept(self):
        """Words that a set is of, as the host reads them."""
        await self.core("CTRL", 1)
        while not await self.core("STATUS") & 1:
            pass
        found = []
        for address in Kept.of_chip(self.chip).addresses:
            data, error = await self.access(self.alone.host_bus, address)
            found.append(None if error else data)
        await self.core("CTRL", 0)
        return found

    async def flash(self, name):
        """Have something done, and return what became of it."""
        await self.board("FLASH_COMMAND", COMMANDS[name])
        while True:
            status = await self.board("FLASH_STATUS")
            if not status & 1:
                return {bit: status >> k & 1 for k, bit in enumerate(FLASH_STATUS)}


def plain_chip(inputs=2):
    """One layer without a table: few words."""
    rng = np.random.default_rng(SEED)
    phi = random_chips.piecewise(rng, 24, 16)
    spec = random_chips.network(rng, [inputs, 2], activation=phi)
    return ChipSpec(spec, Folding((EngineSpec(1, 1, (0,)),)))


def learning_chip():
    rng = np.random.default_rng(SEED)
    phi = random_chips.piecewise(rng, 24, 16)
    spec = random_chips.network(rng, [1, 2], activation=phi, weight_width=16)
    learns = random_chips.learning(rng, spec)
    return ChipSpec(learns.network, Folding((EngineSpec(1, 1, (0,)),)), learns)


def wave(channel, tick):
    return (channel * 977 + tick * 331) % 4096


@pytest.mark.parametrize("sensing", [False, True])
def test_a_sensor_drives_a_network_at_ticks(sensing):
    """With a host that switches it on, or from power-up on: the same words, a step each period."""
    chip, period, ticks = plain_chip(), 400, []
    adc = Adc("mcp3208", (5, 2), offset=2048, shift=-1)
    board = Board(
        chip, Parts(CLOCK_HZ, sensor=adc, period=period if sensing else 0, sensing=sensing)
    )

    def value(channel):
        ticks.append(channel)
        return wave(channel, len(ticks) // 2)

    async def scenario(board):
        if not sensing:
            await board.board("PERIOD", period)
            await board.board("SENSOR_CTRL", 1)
        await board.ctx.tick().repeat(period * 8 + 50)
        assert await board.board("TICKS") == 8
        assert await board.board("OVERRUNS") == 1, "only the first tick has no sample yet"
        assert await board.board("SENSOR_FRAMES") == 7
        assert await board.board("SENSOR_KIND") == SENSORS["adc"] | 2 << 8
        assert await board.board("SENSOR_CHANNELS") == 0x25

    board.run(scenario, (Mcp(MCP3208, CLOCK_HZ, 12, value), board.alone.sensor))
    width = chip.network.layers[0].x_format.width
    asked = iter(range(100))
    samples = [[wave(c, (next(asked) + 1) // 2) for c in (5, 2)] for _ in range(len(board.frames))]
    words = np.array([[scaled(s, 2048, -1, width) for s in row] for row in samples])
    assert np.array_equal(np.array(board.frames)[:, :2], words)
    assert {b - a for a, b in zip(board.begun, board.begun[1:], strict=False)} == {period}
    want = expected(chip.network, words).outputs
    assert len(board.outputs) >= 6
    assert np.array_equal(board.outputs, want[: len(board.outputs)])


def test_a_microphone_drives_a_network():
    chip = plain_chip(1)
    layer = chip.network.layers[0].x_format.width
    board = Board(chip, Parts(CLOCK_HZ, sensor=Microphone(), period=384 * 2, sensing=True))
    words = [(k * 1234567) % (1 << 24) for k in range(99)]
    model = I2sMicrophone(CLOCK_HZ, words.__getitem__)

    async def scenario(board):
        await board.ctx.tick().repeat(384 * 16)

    board.run(scenario, (model, board.alone.sensor))
    signed = [w - (1 << 24) * (w >> 23) for w in words]
    heard = [scaled(w, 0, layer - 24, layer) for w in signed]
    got = [frame[0] for frame in board.frames[1:]]
    first = heard.index(got[0])
    assert got == heard[first : first + 2 * len(got) : 2], "every other sample, none twice"
    assert len(got) > 4
    want = expected(chip.network, np.array([frame[:1] for frame in board.frames])).outputs
    assert np.array_equal(board.outputs, want[: len(board.outputs)])


def test_host_and_sensor_take_turns_frame_by_frame():
    """The host's frame waits while the sensor has the chip, and goes whole when it has not."""
    chip = plain_chip()
    board = Board(chip, Parts(CLOCK_HZ, sensor=Adc("mcp3208", (0, 1)), sensing=True))
    done = []

    async def host(ctx, axis):
        for word, last in ((7, 0), (8, 1)):
            ctx.set(axis.tdata, word)
            ctx.set(axis.tlast, last)
            ctx.set(axis.tvalid, 1)
            await ctx.tick().until(axis.tready)
            ctx.set(axis.tvalid, 0)
            done.append(len(board.frames))
            await ctx.tick().repeat(1000)

    async def scenario(board):
        await board.ctx.tick().repeat(2000)
        assert board.frames
        assert not done
        await board.board("SENSOR_CTRL", 0)
        await board.ctx.tick().repeat(700)
        assert len(done) == 1
        await board.board("SENSOR_CTRL", 1)
        await board.ctx.tick().repeat(2500)
        assert len(done) == 2
        assert board.frames[done[0]][:2] == (7, 8), "no word of the sensor within it"

    model = Mcp(MCP3208, CLOCK_HZ, 12, lambda channel: 100 + channel)
    board.run(scenario, (model, board.alone.sensor), (host, board.alone.host_axis))
    width = chip.network.layers[0].x_format.width
    ours = tuple(scaled(100 + c, 0, width - 13, width) for c in (0, 1))
    theirs = [frame[:2] for frame in board.frames]
    assert theirs.count((7, 8)) == 1
    assert set(theirs) == {(7, 8), ours}
    assert theirs[0] == theirs[-1] == ours


def test_registers_of_parts_that_are_missing_are_refused():
    chip = plain_chip()
    for parts, there in (
        (Parts(1), TIMER_REGISTERS),
        (Parts(1, timer=False, flash=FLASH), FLASH_REGISTERS),
        (Parts(1, sensor=Microphone(2)), (*TIMER_REGISTERS, *SENSOR_REGISTERS)),
    ):
        board = Board(chip, parts)

        async def scenario(board, there=there):
            for register in BOARD_REGISTERS[4:]:
                place = register.address - BOARD_BASE // 4
                _, error = await board.access(board.alone.board, place)
                assert error == (register not in there), register
                if register in there and register.access == "r":
                    assert (await board.access(board.alone.board, place, 1))[1]

        models = [(FlashModel(bytearray(b"\xff" * 4096)), board.alone.flash)] if parts.flash else []
        board.run(scenario, *models)


def test_what_was_learned_survives_a_power_cut():
    """Saved; the power goes; what was saved is there. Forgotten; the first words are back."""
    chip = learning_chip()
    content, seen = bytearray(b"\xff" * FLASH.size), {}
    kept = Kept.of_chip(chip)

    async def first(board):
        seen["fresh"] = await board.kept()
        words = [None if w is None else (w ^ 1) & 1 for w in seen["fresh"]]
        await board.core("CTRL", 1)
        for address, word in zip(kept.addresses, words, strict=True):
            if word is not None:
                await board.access(board.alone.host_bus, address, word)
        seen["learned"] = await board.kept()
        assert (await board.flash("save")) == {
            **dict.fromkeys(FLASH_STATUS, 0),
            "kept": 1,
        }
        assert await board.core("CTRL") == 0
        assert await board.board("FLASH_SEQUENCE") == 1
        assert await board.board("FLASH_WORDS") == kept.words

    async def second(board):
        seen["back"] = await board.kept()
        assert (await board.flash("forget"))["kept"] == 0

    async def third(board):
        seen["forgotten"] = await board.kept()

    for scenario in (first, second, third) if SOAK else (first, second):
        board = Board(chip, Parts(1_000_000, flash=FLASH))
        board.run(scenario, (FlashModel(content), board.alone.flash), cycles=300_000)
    assert seen["learned"] != seen["fresh"]
    assert seen["back"] == seen["learned"]
    assert not SOAK or seen["forgotten"] == seen["fresh"]


def test_a_word_that_is_no_command_does_nothing():
    """Its lowest bits may be those of one."""
    board = Board(plain_chip(), Parts(1_000_000, flash=FLASH))
    flash = FlashModel(bytearray(b"\xff" * FLASH.size))
    place = board_register("FLASH_COMMAND").address - BOARD_BASE // 4

    async def scenario(board):
        await board.core("CTRL")  # comes when it has started
        for word in (4, 5, 0x100, 0x8000_0001):
            assert (await board.access(board.alone.board, place, word))[1], hex(word)
            assert await board.board("FLASH_STATUS") == 0
        await board.board("FLASH_COMMAND", 0)
        await board.ctx.tick().repeat(500)
        assert await board.board("FLASH_STATUS") == 0

    board.run(scenario, (flash, board.alone.flash))
    assert not flash.changes


def test_a_button_saves_once_for_each_press():
    board = Board(plain_chip(), Parts(1_000_000, flash=FLASH))
    flash = FlashModel(bytearray(b"\xff" * FLASH.size))

    async def scenario(board):
        await board.core("CTRL")  # comes when it has started
        for saved in (1, 2):
            board.ctx.set(board.alone.save, 1)
            await board.ctx.tick().repeat(3)
            while await board.board("FLASH_STATUS") & 1:
                pass
            await board.ctx.tick().repeat(20)
            assert await board.board("FLASH_STATUS") & 0b111 == 0b010
            assert await board.board("FLASH_SEQUENCE") == saved
            board.ctx.set(board.alone.save, 0)
            await board.ctx.tick().repeat(3)

    board.run(scenario, (flash, board.alone.flash))


def test_a_host_waits_for_the_boot_loader():
    chip = plain_chip()
    board = Board(chip, Parts(1_000_000, flash=FLASH))
    kept = board.alone.store.kept
    content = bytearray(b"\xff" * FLASH.size)
    image = kept.image([1] * kept.words, 3)
    content[FLASH.base : FLASH.base + len(image)] = image

    async def scenario(board):
        ctx = board.ctx
        ctx.set(board.alone.host_axis.tvalid, 1)
        assert await board.core("CTRL") == 0
        assert board.cycle > 16 * 4 * kept.words, "the answer came when all was loaded"
        await ctx.tick().repeat(9)
        assert min(board.begun) > 16 * 4 * kept.words
        assert await board.board("FLASH_STATUS") == 0b01010
        ctx.set(board.alone.host_axis.tvalid, 0)
        assert {w for w in await board.kept() if w is not None} == {1}

    board.run(scenario, (FlashModel(content), board.alone.flash))
