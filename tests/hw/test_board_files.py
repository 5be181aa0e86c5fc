"""Boards: constraint files from their descriptions, pins, and the reset behind the clock."""

import gc
import json
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib.io import SimulationPort
from amaranth.sim import Simulator

from vle.compiler import compile_model
from vle.compiler.planning.boards import DESCRIPTIONS, described
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.choices import choose
from vle.compiler.planning.pll import clock_below
from vle.errors import CompileError
from vle.hw.boards.beside import beside
from vle.hw.boards.button import Button
from vle.hw.boards.clocking import Clocking, Settling
from vle.hw.boards.line import line
from vle.hw.boards.pins import request, request_leds
from vle.hw.boards.platform import platform_of, resource_name
from vle.hw.boards.top import BoardTop
from vle.sim import Layer, Network

OWN = """
name = "colorlight-i5"
device = "LFE5U-25F"
package = "BG381"
speed = "6"
baud = 115200

[clock]
pin = "P3"
hz = 25_000_000
default_hz = 50_000_000

[uart]
rx = "H18"
tx = "J17"

[leds]
pins = "U16"
inverted = true

[attributes]
IO_TYPE = "LVCMOS33"
"""


class Loop(Elaboratable):
    """What comes in goes out; all LEDs are lit."""

    def __init__(self, description, hz, roles=("uart",)):
        family, crystal = description.chip.family, description.clock.hz
        self.description, self.source = description, clock_below(family, crystal, hz)
        self.roles = roles

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clocking = Clocking(self.description, self.source)
        for role in self.roles:
            pins = request(m, platform, self.description, role)
            if role == "uart":
                m.d.sync += pins["tx"].eq(pins["rx"])
        for led in request_leds(m, platform, self.description):
            m.d.comb += led.eq(1)
        return m


def planned(description, hz, roles=("uart",)):
    return platform_of(description).prepare(Loop(description, hz, roles), "top").files


def test_constraints_of_the_ulx3s():
    files = planned(DESCRIPTIONS["ulx3s-85f"], 75e6, ("uart", "spi", "flash", "adc", "i2s"))
    lpf = files["top.lpf"]
    assert 'LOCATE COMP "clk25_0__io" SITE "G2";' in lpf
    assert 'FREQUENCY PORT "clk25_0__io" 25000000.0 HZ;' in lpf
    assert 'LOCATE COMP "uart_0__rx__io" SITE "M1";' in lpf
    assert 'LOCATE COMP "vle_spi_0__clk__io" SITE "B11";' in lpf
    assert 'IOBUF PORT "vle_i2s_0__sd__io" IO_TYPE=LVCMOS33;' in lpf
    assert sum("led_" in line for line in lpf.splitlines() if "LOCATE" in line) == 3
    command = json.loads(files["build_top.json"])["commands"][1]
    assert {"--85k", "--package", "--speed", "6"} <= set(command)
    assert "EHXPLLL" in files["top.il"]


def test_constraints_of_the_icebreaker():
    files = planned(DESCRIPTIONS["icebreaker"], 24e6, ("uart", "spi", "flash", "adc", "i2s"))
    pins = dict(line.split()[1:3] for line in files["top.pcf"].splitlines() if "set_io" in line)
    assert pins["clk12_0__io"] == "35"
    assert (pins["uart_0__rx__io"], pins["uart_0__tx__io"]) == ("6", "9")
    assert pins["vle_spi_0__cs__io"] == "4"
    assert len(set(pins.values())) == len(pins)
    assert "SB_PLL40_PAD" in files["top.il"]
    assert "SB_PLL40_PAD" not in planned(DESCRIPTIONS["icebreaker"], 12e6)["top.il"]


def test_constraints_of_the_tang_nano_20k():
    files = planned(DESCRIPTIONS["tang-nano-20k"], 54e6, ("uart", "spi", "flash", "adc", "i2s"))
    assert 'IO_LOC "vle_clock_0__io" 4;' in files["top.cst"]
    assert 'IO_LOC "vle_uart_0__tx__io" 69;' in files["top.cst"]
    assert 'IO_LOC "vle_flash_0__cs__io" 60;' in files["top.cst"]
    assert "rPLL" in files["top.il"]


def test_a_board_of_ones_own_is_one_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    files = planned(described(str(path)), 50e6)
    assert 'LOCATE COMP "vle_uart_0__rx__io" SITE "H18";' in files["top.lpf"]
    assert 'LOCATE COMP "vle_leds_0__io" SITE "U16";' in files["top.lpf"]
    assert "--25k" in json.loads(files["build_top.json"])["commands"][1]


@pytest.mark.parametrize(
    ("platform", "rule"),
    [
        ("amaranth_boards.nowhere:Board", "platform amaranth_boards.nowhere:Board cannot be found"),
        ("amaranth_boards.ulx3s:Nothing", "platform amaranth_boards.ulx3s:Nothing cannot be found"),
        (
            "amaranth_boards.icebreaker:ICEBreakerPlatform",
            "board mine: platform must be of the family of LFE5U-25F",
        ),
    ],
)
def test_a_platform_that_is_none_is_refused(tmp_path, platform, rule):
    path = tmp_path / "mine.toml"
    text = OWN.replace("colorlight-i5", "mine").replace('package = "BG381"\nspeed = "6"\n', "")
    path.write_text(f'platform = "{platform}"\n{text}')
    with pytest.raises(CompileError) as refused:
        platform_of(described(str(path)))
    assert rule in str(refused.value)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_resource_that_the_platform_has_not_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ndevice = "iCE40UP5K"\n'
        'platform = "amaranth_boards.icebreaker:ICEBreakerPlatform"\n'
        '[clock]\nresource = "clk12"\nhz = 12_000_000\ndefault_hz = 12_000_000\n'
        '[uart]\nresource = "usb"\n'
    )
    with pytest.raises(CompileError, match="board mine: uart cannot be had: Resource usb#0"):
        planned(described(str(path)), 12e6)
    gc.collect()  # what was begun and not ended says so now


def chip(sizes, **options):
    rng = np.random.default_rng(0)
    layers = tuple(
        Layer(rng.normal(size=(b, a)), np.zeros(b), 1.0, 0.4, "tanh") for a, b in pairwise(sizes)
    )
    return compile_model(Network(layers, dt=0.1), input_range=(-1, 1), lanes=1, **options).chip


@pytest.mark.parametrize(
    ("board", "given"),
    [
        ("ulx3s-85f", {"sensor": "mcp3208", "keep": True, "step_s": 0.1}),
        ("icebreaker", {"timer": True, "step_s": 0.1, "link": "spi"}),
        ("tang-nano-20k", {"sensor": "microphone", "keep": True, "step_s": 1e-4}),
    ],
)
def test_a_chip_on_a_board_with_what_stands_beside(board, given):
    options = BuildOptions(DESCRIPTIONS[board], **given)
    made = chip([1, 2], board=board)
    source = clock_below(
        options.board.chip.family, options.board.clock.hz, options.board.clock.default_hz
    )
    platform = platform_of(options.board, choose(made, options.board.board))
    files = platform.prepare(BoardTop(made, options, source), "top").files
    pins = " ".join(text for name, text in files.items() if name.endswith((".lpf", ".pcf", ".cst")))
    for role in options.roles:
        assert resource_name(options.board.ports[role]) in pins
    assert ("USRMCLK" in files["top.il"]) == (board == "ulx3s-85f")
    for name in ("wp", "hold"):  # a flash whose pins float may stop or write nothing
        assert (f"spi_flash_0__{name}" in pins) == (board == "ulx3s-85f")
        assert (f"flash_{name}" in files["top.il"]) == (board == "ulx3s-85f")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("given", "inputs", "mhz", "rule"),
    [
        ({}, 1, 20, r"baud must be in 1..2500000 at 20000000 Hz, not 3000000"),
        ({"sensor": "mcp3208", "step_s": 0.1}, 9, 75, r"channels must be 1 to 8, not 9"),
        ({"sensor": "microphone", "step_s": 0.1}, 3, 75, r"sides must be 1 or 2, not 3"),
        ({"timer": True, "step_s": 1e-9}, 1, 75, r"a step must be a clock at least, not 1e-09 s"),
        ({"timer": True, "step_s": 60.0}, 1, 75, r"period must fit in 32 bits"),
    ],
)
def test_what_does_not_go_with_the_chip_is_one_line(given, inputs, mhz, rule):
    options = BuildOptions(DESCRIPTIONS["ulx3s-85f"], **given)
    top = BoardTop(chip([inputs, 2]), options, clock_below("ecp5", 25_000_000, mhz * 1e6))
    with pytest.raises(CompileError, match=f"board ulx3s-85f: {rule}"):
        platform_of(options.board).prepare(top, "top")
    gc.collect()  # what was begun and not ended says so now


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_what_is_kept_must_fit_the_flash_of_the_board():
    board = replace(DESCRIPTIONS["ulx3s-85f"], flash_base=0x200000, flash_size=0x201000)
    options, source = BuildOptions(board, keep=True), clock_below("ecp5", 25_000_000, 75e6)
    rule = (
        r"flash must hold two sets of 4096 bytes from 0x200000 on, to 0x202000, not only 0x201000"
    )
    with pytest.raises(CompileError, match=f"board ulx3s-85f: {rule}"):
        platform_of(board).prepare(BoardTop(chip([1, 2]), options, source), "top")
    gc.collect()  # what was begun and not ended says so now


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("mhz", "half"), [(12, 1), (50, 1), (75, 2), (120, 3)])
def test_a_flash_is_read_at_25_mhz_at_most(mhz, half):
    options = BuildOptions(DESCRIPTIONS["ulx3s-85f"], keep=True)
    platform, made = platform_of(options.board), chip([1, 2])
    assert beside(Module(), platform, made, options, mhz * 10**6).parts.flash.half_period == half
    gc.collect()  # what was begun and not ended says so now


def test_a_button_counts_when_it_has_come_to_rest():
    button, seen = Button(1000, 0.02), []

    async def bench(ctx):
        for level, clocks in ((1, 15), (0, 2), (1, 40), (0, 3), (1, 30), (0, 40)):
            ctx.set(button.pin, level)
            for _ in range(clocks):
                await ctx.tick()
                seen.append(ctx.get(button.pressed))

    simulator = Simulator(button)
    simulator.add_clock(1e-3)
    simulator.add_testbench(bench)
    simulator.run()
    assert "".join(map(str, seen)).strip("0").strip("1") == "", "one press, without a gap"
    assert 15 + 2 + 20 <= seen.index(1) <= 15 + 2 + 25


@pytest.mark.parametrize(("name", "site"), [("ulx3s-85f", 'SITE "R1"'), ("icebreaker", " 10")])
@pytest.mark.parametrize("keep", [True, False])
def test_the_button_of_a_board_saves(name, site, keep):
    options = BuildOptions(DESCRIPTIONS[name], keep=keep)
    made, clock = chip([1, 2], board=name), options.board.clock
    source = clock_below(options.board.chip.family, clock.hz, clock.default_hz)
    platform = platform_of(options.board, choose(made, options.board.board))
    files = platform.prepare(BoardTop(made, options, source), "top").files
    pins = " ".join(text for name, text in files.items() if name.endswith((".lpf", ".pcf")))
    assert (site in pins) == ("button" in pins) == keep


def test_a_button_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN + '[button]\nsave = "K18"\ninverted = true\n')
    files = planned(described(str(path)), 50e6, ("button",))
    assert 'LOCATE COMP "vle_button_0__save__io" SITE "K18";' in files["top.lpf"]
    pins = platform_of(described(str(path))).request("vle_button", 0, dir="-")
    assert pins.save.invert == (True,)


class Pads:
    """The pins of an SPI where a platform would give them."""

    def __init__(self):
        directions = {"cs": "i", "clk": "i", "copi": "i", "cipo": "o"}
        self.ports = {
            name: SimulationPort(direction, 1, invert=name == "cs")
            for name, direction in directions.items()
        }

    def request(self, name, number, dir):
        return SimpleNamespace(**self.ports)


def test_an_spi_that_is_not_selected_drives_nothing():
    m, pads, driven = Module(), Pads(), []
    line(m, pads, DESCRIPTIONS["icebreaker"], "spi", 24_000_000)

    async def bench(ctx):
        for level in (1, 0, 1):
            ctx.set(pads.ports["cs"].i, level)
            await ctx.tick()
            driven.append(ctx.get(pads.ports["cipo"].oe))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert driven == [0, 1, 0]


def test_what_a_board_cannot_have_is_refused():
    with pytest.raises(ValueError, match=r"sensor must be one of mcp3008, .* not 'nose'"):
        BuildOptions(DESCRIPTIONS["icebreaker"], sensor="nose")


def test_pins_that_a_board_lacks_are_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    for given, role in (({"keep": True}, "flash"), ({"sensor": "mcp3208"}, "adc")):
        with pytest.raises(ValueError, match=f"board colorlight-i5 must have pins for {role}"):
            BuildOptions(described(str(path)), **given)


def test_reset_is_released_after_lock_and_comes_back():
    m = Module()
    m.domains.settle = ClockDomain(reset_less=True)
    m.submodules.dut = dut = Settling(16)

    async def bench(ctx):
        async def clocks_in_reset(limit):
            count = 0
            while ctx.get(dut.reset):
                await ctx.tick("settle")
                count += 1
                assert count <= limit
            return count

        assert ctx.get(dut.reset) == 1
        await ctx.tick("settle").repeat(50)
        assert ctx.get(dut.reset) == 1  # no lock, no start
        ctx.set(dut.locked, 1)
        assert 16 <= await clocks_in_reset(20) <= 20
        await ctx.tick("settle").repeat(100)
        assert ctx.get(dut.reset) == 0
        ctx.set(dut.locked, 0)
        await ctx.tick("settle").repeat(4)
        assert ctx.get(dut.reset) == 1
        ctx.set(dut.locked, 1)
        assert 16 <= await clocks_in_reset(20) <= 20

    simulator = Simulator(m)
    simulator.add_clock(1e-6, domain="settle")
    simulator.add_testbench(bench)
    simulator.run()
