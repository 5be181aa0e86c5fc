"""Boards: constraint files from their descriptions, pins, and the reset behind the clock."""

import json

import pytest
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.sim import Simulator

from vle.compiler.planning.boards import DESCRIPTIONS, described
from vle.compiler.planning.pll import clock_below
from vle.errors import CompileError
from vle.hw.boards.clocking import Clocking, Settling
from vle.hw.boards.pins import request, request_leds
from vle.hw.boards.platform import platform_of

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
    files = planned(DESCRIPTIONS["icebreaker"], 24e6, ("uart", "spi", "adc", "i2s"))
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
