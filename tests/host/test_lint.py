"""The Verilog stands alone, has the ports that AXI tools bind to, and passes Verilator's lint."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import random_chips

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.host.build import verilator_root
from vle.hw import verilog

# Each with its reason in docs/verification.md.
WAIVERS = ("DECLFILENAME", "WIDTH", "UNUSEDSIGNAL", "PROCASSINIT", "CASEINCOMPLETE", "UNSIGNED")
DOCUMENT = Path(__file__).parents[2] / "docs" / "verification.md"
STREAM = ("tdata", "tlast", "tuser", "tvalid", "tready")
LITE = (
    *("awaddr", "awprot", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp"),
    *("bvalid", "bready", "araddr", "arprot", "arvalid", "arready", "rdata", "rresp", "rvalid"),
    "rready",
)
PORTS = {
    *("clk", "rst"),
    *(f"{side}_axis_{name}" for side in "sm" for name in STREAM),
    *(f"s_axil_{name}" for name in LITE),
}


LEARNING_PORTS = {
    *(f"s_axis_target_{name}" for name in STREAM),
    *(f"m_axis_probe_{name}" for name in STREAM),
}


def chip(*engines: tuple) -> ChipSpec:
    network = random_chips.network(np.random.default_rng(1), [3, 7, 5, 4], recurrent=(1,))
    return ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))


@pytest.fixture(
    params=[[(1, 1, (0, 1, 2))], [(3, 2, (2, 0)), (2, 5, (1,))], [(9, 9, (0, 1)), (1, 2, (2,))]]
)
def text(request) -> str:
    return verilog.generate(chip(*request.param))


@pytest.fixture(scope="module")
def learner() -> str:
    rng = np.random.default_rng(7)
    made = random_chips.learning_chip(rng, [2, 4, 3], recurrent=(0,), plasticity="filtered")
    folding = Folding((EngineSpec(2, 3, (0, 1)),))
    return verilog.generate(ChipSpec(made.network, folding, made.learning))


def test_a_chip_that_learns_passes_lint(learner, tmp_path):
    test_passes_lint(learner, tmp_path)


def test_its_ports_are_those_of_axi(learner):
    assert ports(learner) == PORTS | LEARNING_PORTS
    assert re.search(r"^ *input \[2:0\] s_axis_tuser;", learner, re.M)


def test_passes_lint(text, tmp_path):
    (tmp_path / "top.v").write_text(text)
    root = verilator_root()
    command = [root / "bin" / "verilator_bin", "--lint-only", "-Wall", "--top-module", "top"]
    done = subprocess.run(
        [*command, *(f"-Wno-{waiver}" for waiver in WAIVERS), "top.v"],
        cwd=tmp_path,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:2000]


def test_waivers_have_their_reasons():
    table = re.findall(r"^\| `([A-Z]+)` \| \S", DOCUMENT.read_text(), re.M)
    assert sorted(table) == sorted(WAIVERS)


def test_ports_are_those_of_axi(text):
    assert ports(text) == PORTS


def ports(text: str) -> set[str]:
    header = re.search(r"^module top\((.*?)\);", text, re.M | re.S)
    return {port.strip() for port in header[1].split(",")}


def test_same_chip_same_text():
    engines = [(3, 2, (2, 0)), (2, 5, (1,))]
    first, second = (verilog.generate(chip(*engines)) for _ in range(2))
    assert first == second
    assert "/home" not in first
    assert "src_loc" not in first
