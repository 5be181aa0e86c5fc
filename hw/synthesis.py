"""What synthesis makes of a chip: the cells of a family, counted."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil

from vle.cache import cache_folder
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.choices import choose
from vle.hw.ports import flat_ports
from vle.hw.top import Top

PLATFORMS = {"ecp5": "ECP5", "ice40": "ICE40", "gowin": "Gowin"}
KINDS: dict[str, dict[str, dict[str, int]]] = {
    "ecp5": {
        "multipliers": {"MULT18X18D": 1},
        "blocks": {"DP16KD": 1},
        "luts": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
    },
    "ice40": {
        "multipliers": {"SB_MAC16": 1},
        "blocks": {"SB_RAM40_4K": 1},
        "sprams": {"SB_SPRAM256KA": 1},
        "luts": {"SB_LUT4": 1},
    },
    "gowin": {
        "multipliers": {"MULT18X18": 1},
        "blocks": dict.fromkeys(("SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9"), 1),
        "luts": {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 8},
    },
}
PASSES = {"ecp5": "synth_ecp5", "ice40": "synth_ice40", "gowin": "synth_gowin"}
SCRIPT = """
import sys
from pyosys import libyosys as ys
source, passes, folder = sys.argv[1:]
design = ys.Design()
for step in (f"read_rtlil {source}", f"{passes} -top top"):
    ys.run_pass(f"tee -q -o {folder}/log.txt {step}", design)
ys.run_pass(f"tee -q -o {folder}/cells.json stat -json", design)
"""


def cells(chip: ChipSpec, board: Board) -> dict[str, int]:
    """Synthesise the chip with its AXI top and count cells by type; a count once made is kept.

    Raises
    ------
    subprocess.CalledProcessError
        Where synthesis fails.
    """
    family, text = board.family, netlist(chip, board)
    made_by = f"{PASSES[family]} {version('pyosys')}"
    name = hashlib.sha256(f"{made_by}\n{text}".encode()).hexdigest()[:24]
    kept = cache_folder() / "cells" / f"{family}-{name}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_synthesised(text, PASSES[family])))
    found: dict[str, int] = json.loads(kept.read_text())
    return found


def counted(found: dict[str, int], family: str) -> dict[str, int]:
    """Cells by what a plan calls them; a carry and a small memory are made of look-up tables."""
    return {
        name: sum(found.get(kind, 0) * luts for kind, luts in kinds.items())
        for name, kinds in KINDS[family].items()
    }


def netlist(chip: ChipSpec, board: Board) -> str:
    """RTLIL of the chip, of the primitives of the board's family as the plan chooses them."""
    module = importlib.import_module(f"vle.hw.families.{board.family}")
    top, platform = Top(chip), getattr(module, PLATFORMS[board.family])()
    platform.choices = choose(chip, board)
    ports = flat_ports(top)
    return str(rtlil.convert(top, name="top", ports=ports, platform=platform, emit_src=False))


def _synthesised(text: str, passes: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "top.il")
        source.write_text(text)
        command = [sys.executable, "-c", SCRIPT, str(source), passes, folder]
        subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(Path(folder, "cells.json").read_text())
    counts: dict[str, int] = found["design"]["num_cells_by_type"]
    return {kind: count for kind, count in counts.items() if not kind.startswith("$")}
