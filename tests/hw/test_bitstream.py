"""Bitstreams of the real tools: every family's cells, the same bytes twice, whole chips."""

import json
import os

import numpy as np
import pytest
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal, signed
from test_board_files import OWN

from vle.compiler import Design
from vle.compiler.cli import main
from vle.compiler.planning.boards import DESCRIPTIONS, described
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.choices import Choices
from vle.hw.boards.clocking import Clocking
from vle.hw.boards.pins import request
from vle.hw.build.flow import build
from vle.hw.primitives import Product, RegisteredMemory
from vle.sim import Layer, Network

SOAK = os.environ.get("VLE_SOAK")


class Cells(Elaboratable):
    """Bits from the line are multiplied, kept in a memory, and come back: each primitive once."""

    def __init__(self, board, source):
        self.board, self.source = board, source

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clocking = Clocking(self.board, self.source)
        pins = request(m, platform, self.board, "uart")
        heard, said = Signal(32), Signal(32)
        factor = signed(14)
        m.submodules.product = product = Product(factor, factor, before=1)
        m.submodules.memory = memory = RegisteredMemory(16, 512, range(7, 519), lanes=2)
        m.d.comb += [
            Cat(product.a, product.b).eq(heard),
            memory.r_addr.eq(heard[3:]),
            memory.w_addr.eq(heard[7:]),
            memory.w_en.eq(heard[30:]),
            memory.w_data.eq(product.o),
            pins["tx"].eq(said[0]),
        ]
        m.d.sync += [
            heard.eq(Cat(heard[1:], pins["rx"])),
            said.eq(Cat(said[1:], memory.r_data.xor() ^ product.o.xor())),
        ]
        return m


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    return described(str(path))


def built(board, **options):
    wanted = BuildOptions(board, **options)
    return build(lambda source: Cells(board, source), wanted, Choices(), {}, lambda text: None)


def test_cells_of_ecp5(own):
    made = built(own, seeds=1, clock_hz=62.5e6)
    assert made.data[:2] == b"\xff\x00"  # a comment comes first
    assert b"LFE5U-25F" in made.data[:200]
    timing = made.timing
    assert (made.clock_hz, timing["timed"], timing["seed"]) == (62_500_000, True, 1)
    assert timing["runs"][0]["fmax_hz"] > 62_500_000
    assert timing["resources"]["multipliers"]["used"] == 1
    assert timing["resources"]["blocks"]["used"] == 1
    assert timing["critical_path"]["ns"] > timing["critical_path"]["routing_ns"] > 0


def test_cells_of_ice40_and_the_same_bytes_twice():
    first, second = (built(DESCRIPTIONS["icebreaker"], seeds=2) for _ in range(2))
    assert first == second
    assert len(first.data) > 100_000
    assert first.data[4:8] == bytes.fromhex("7eaa997e")  # begins the configuration
    assert first.clock_hz == 24_000_000
    assert first.timing["resources"]["multipliers"]["used"] == 1
    assert first.timing["resources"]["blocks"]["used"] >= 2
    assert len(first.timing["runs"]) == 2


def test_cells_of_gowin():
    made = built(DESCRIPTIONS["tang-nano-20k"])
    assert f"{0x0000081B:032b}".encode() in made.data[:2000]  # what a GW2AR-18 calls itself
    assert (made.clock_hz, made.timing["timed"]) == (27_000_000, False)
    assert made.timing["median_fmax_hz"] is None
    assert made.timing["resources"]["multipliers"]["used"] == 1
    assert made.timing["resources"]["blocks"]["used"] == 1


@pytest.mark.skipif(not SOAK, reason="minutes of place and route")
@pytest.mark.parametrize("board", ["mine.toml", "icebreaker", "tang-nano-20k"])
def test_a_chip_goes_into_its_bundle(board, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(OWN)
    rng = np.random.default_rng(0)
    layer = Layer(rng.normal(size=(2, 2)), np.zeros(2), 1.0, 0.4, "identity")
    Network((layer,), dt=0.1).save("one.onnx")
    options = ["--weight-bits", "8", "--lanes", "1", "--seeds", "1", "--json", "-o", "out"]
    with pytest.raises(SystemExit) as left:
        main(["one.onnx", "--board", board, "--bitstream", *options])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    timing = json.loads(out)["timing"]
    manifest = json.loads((tmp_path / "out" / "design.json").read_text())["board"]
    assert timing["clock_hz"] == manifest["clock_hz"]
    assert (tmp_path / "out" / manifest["bitstream"]).stat().st_size > 100_000
    assert Design.load(tmp_path / "out").report["timing"] == timing
