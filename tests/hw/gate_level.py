"""A chip as a netlist of an FPGA's cells, in Verilator beside its integer model."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ecp5_models
import gowin_models
from amaranth.back import rtlil

from vle.cache import cache_folder
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.choices import Choices, choose
from vle.hw.ports import flat_ports
from vle.hw.synthesis import PASSES, PLATFORMS
from vle.hw.top import Top

SCRIPT = """
import sys
from pyosys import libyosys as ys
source, passes, target = sys.argv[1:]
design = ys.Design()
for step in (f"read_rtlil {source}", f"{passes} -top top", f"write_verilog -noattr {target}"):
    ys.run_pass(f"tee -q {step}", design)
"""
MODELS = {  # of cells, in the folder that yosys brings, and our own
    "ice40": (("ice40/cells_sim.v",), ""),
    "ecp5": (("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"), ecp5_models.models()),
    "gowin": (("gowin/cells_sim.v",), gowin_models.models()),
}


SIMPLER = {  # thousands of them: the same in one expression takes half the time to build
    "SB_LUT4": """module SB_LUT4(output O, input I0, I1, I2, I3);
  parameter [15:0] LUT_INIT = 0;
  assign O = LUT_INIT[{I3, I2, I1, I0}];
endmodule""",
}


def gates(chip: ChipSpec, board: Board, choices: Choices | None = None) -> str:
    """Verilog of the chip's netlist, with trace ports, and of the models of its cells.

    Parameters
    ----------
    chip
        What to build.
    board
        Whose cells to take.
    choices
        As the plan makes them, where none are given.
    """
    module = importlib.import_module(f"vle.hw.families.{board.family}")
    top, platform = Top(chip, trace=True), getattr(module, PLATFORMS[board.family])()
    platform.choices = choose(chip, board) if choices is None else choices
    text = rtlil.convert(top, ports=flat_ports(top), platform=platform, emit_src=False)
    return synthesised(text, PASSES[board.family]) + models(board.family)


def synthesised(text: str, passes: str) -> str:
    """Verilog of the netlist that yosys makes of RTLIL; one that was made is kept."""
    name = hashlib.sha256(f"{passes}\n{text}".encode()).hexdigest()[:24]
    kept = cache_folder() / "netlists" / f"{name}.v"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "top.il"), Path(folder, "top.v")
            source.write_text(text)
            command = [sys.executable, "-c", SCRIPT, str(source), passes, str(target)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            target.rename(kept)
    return kept.read_text()


def models(family: str) -> str:
    """Verilog models of a family's cells, without the delays that they tell."""
    found = importlib.util.find_spec("pyosys")
    share = Path(found.submodule_search_locations[0], "share")
    names, own = MODELS[family]
    text = "".join((share / name).read_text() for name in names) + own
    text = re.sub(r"^`include.*\n", "", text, flags=re.M)
    for name, simple in SIMPLER.items():
        text = re.sub(rf"\bmodule {name} .*?\bendmodule\b", simple, text, flags=re.S)
    return re.sub(r"\bspecify\b.*?\bendspecify\b", "", text, flags=re.S)


def cell_count(verilog: str, cell: str) -> int:
    """How often a netlist has a cell."""
    return len(re.findall(rf"^  {cell} ", verilog, flags=re.M))
