"""Files of boards: what ours say, and one line for what is wrong in a user's own."""

import re
from pathlib import Path

import pytest

from vle.compiler import compile_model
from vle.compiler.planning import boards
from vle.compiler.planning.boards import BOARDS, DESCRIPTIONS, DEVICES, board_named, described
from vle.errors import CompileError
from vle.sim import Layer, Network

OWN = """
name = "own"
device = "LFE5U-25F"
package = "BG381"
speed = "6"

[clock]
pin = "G2"
hz = 25_000_000
default_hz = 50_000_000

[uart]
rx = "M1"
tx = "L4"
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return str(path)

    return write


def test_the_boards_of_the_project():
    assert list(BOARDS) == ["ulx3s-85f", "icebreaker", "tang-nano-20k"]
    for name, description in DESCRIPTIONS.items():
        assert description.name == name
        assert description.board == BOARDS[name] == board_named(name)
        assert {"uart", "spi", "leds", "flash", "adc", "i2s"} <= set(description.ports)
        assert description.loader
        assert BOARDS[name].family == DEVICES[description.device].family


def test_pins_serve_one_purpose_only():
    for description in DESCRIPTIONS.values():
        pins = [
            pin for port in description.all_ports for p in port.pins.values() for pin in p.split()
        ]
        pins.append(description.clock.pin)
        assert len(pins) == len(set(pins))


def test_a_board_of_ones_own(written):
    path = written(OWN)
    board = board_named(path)
    assert (board.name, board.multipliers, board.family) == ("own", 28, "ecp5")
    assert described(path).clock.default_hz == 50_000_000
    network = Network((Layer([[0.5]], [0.0], 1.0, 0.5, "tanh"),), dt=0.1)
    design = compile_model(network, board=path)
    assert design.report["board"]["device"] == "LFE5U-25F"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('device = "LFE5U-25F"', "", "device is missing"),
        ('"LFE5U-25F"', '"XC7A35T"', "device must be one of LFE5U-12F, "),
        ('name = "own"', "name = 3", "name must be a text, not 3"),
        ('speed = "6"', "", "speed must be given where no platform is"),
        ('speed = "6"', 'speed = "6"\nplatform = "a:B"', "package must be given where no platform"),
        ('speed = "6"', 'speed = "6"\nplatform = "a"', "package must be given where no platform"),
        ("25_000_000", "true", "clock.hz must be a whole number, not True"),
        ("25_000_000", "1", "clock.hz must be 1000000..400000000, not 1"),
        ('pin = "G2"', "", "clock must have either a resource of the platform or a pin"),
        ('pin = "G2"', 'resource = "clk25"', "resources need a platform; without one, give pins"),
        ('rx = "M1"', "", "uart must have the pins rx, tx"),
        ('rx = "M1"', 'rx = "M1"\ncts = "B1"', "uart.cts must be one of resource, count"),
        ('rx = "M1"', 'rx = "M1"\ninverted = true', "uart.inverted must go with pins of leds or"),
        ("[uart]", "[uart2]", "uart2 must be one of name, device"),
        ("[uart]", "[uart", "must be TOML: "),
        ('name = "own"', 'name = "own"\nbaud = 300', "baud must be 1200..12000000, not 300"),
        ('name = "own"', 'name = "own"\npayload_max = 64', "payload_max must be 120 or 240"),
        ('name = "own"', 'name = "own"\nslots = 3', "slots must be 2, 4 or 8, not 3"),
    ],
)
def test_a_wrong_file_is_one_clear_line(written, old, new, rule):
    assert old in OWN
    path = written(OWN.replace(old, new))
    with pytest.raises(CompileError) as refused:
        described(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert rule in str(refused.value)
    assert "\n" not in str(refused.value)


FLASH = '[flash]\ncs = "A1"\nclk = "A2"\ncopi = "A3"\ncipo = "A4"\n'


@pytest.mark.parametrize(
    ("base", "size", "rule"),
    [
        (0x90000, 0x100000, ""),
        (0x80000, 0x100000, "from 0x90000 on, where a bitstream of LFE5U-25F has ended"),
        (0x90800, 0x100000, "flash_base must begin a sector of 4096 bytes"),
        (0x100000, 0x100000, "and below 0x100000, not 0x100000"),
        (0x100000, 1 << 25, "flash_size must be 1..16777216 bytes, not 33554432"),
        (0x100000, 0, "flash_size must be 1..16777216 bytes, not 0"),
    ],
)
def test_a_flash_has_room_behind_the_bitstream(written, base, size, rule):
    path = written(f"flash_base = {base}\nflash_size = {size}\n{OWN}{FLASH}")
    if not rule:
        assert (described(path).flash_base, described(path).flash_size) == (base, size)
        return
    with pytest.raises(CompileError) as refused:
        described(path)
    assert rule in str(refused.value)


def test_a_ulx3s_with_a_small_flash(written):
    ours = Path(boards.__file__).with_name("ulx3s-85f.toml").read_text()
    for key, value in (("flash_base", 0x200000), ("flash_size", 0x400000)):
        ours = re.sub(rf"{key} = \w+", f"{key} = {value}", ours)
    assert described(written(ours)).flash_size == 4 << 20
    with pytest.raises(CompileError, match="from 0x1e0000 on, where a bitstream of LFE5U-85F"):
        described(written(ours.replace(str(0x200000), str(0x100000))))


def test_neither_a_name_nor_a_file(tmp_path):
    with pytest.raises(CompileError, match=r"board must be one of .*, or a .toml file, not 'de10'"):
        described("de10")
    with pytest.raises(CompileError, match=r"none.toml: cannot be read: No such file"):
        described(str(tmp_path / "none.toml"))
