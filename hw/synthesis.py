"""What synthesis makes of a chip: the cells of a family, counted."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil

from vle.cache import cache_folder
from vle.compiler.circuit.folding import ChipSpec
from vle.hw.top import Top
from vle.hw.verilog import ports

PLATFORMS = {"ecp5": "ECP5", "ice40": "ICE40", "gowin": "Gowin"}
PASSES = {"ecp5": "synth_ecp5", "ice40": "synth_ice40 -dsp", "gowin": "synth_gowin"}
SCRIPT = """
import sys
from pyosys import libyosys as ys
source, passes, folder = sys.argv[1:]
design = ys.Design()
for step in (f"read_rtlil {source}", f"{passes} -top top"):
    ys.run_pass(f"tee -q -o {folder}/log.txt {step}", design)
ys.run_pass(f"tee -q -o {folder}/cells.json stat -json", design)
"""


def cells(chip: ChipSpec, family: str) -> dict[str, int]:
    """Synthesise the chip with its AXI top and count cells by type; a count once made is kept.

    Raises
    ------
    ValueError
        For a family that there is no synthesis for.
    subprocess.CalledProcessError
        Where synthesis fails.
    """
    if family not in PASSES:
        raise ValueError(f"family must be one of {', '.join(PASSES)}, not {family!r}")
    text = netlist(chip, family)
    name = hashlib.sha256(f"{PASSES[family]}\n{text}".encode()).hexdigest()[:24]
    kept = cache_folder() / "cells" / f"{family}-{name}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_synthesised(text, PASSES[family])))
    found: dict[str, int] = json.loads(kept.read_text())
    return found


def netlist(chip: ChipSpec, family: str) -> str:
    """RTLIL of the chip with the primitives of the family."""
    module = importlib.import_module(f"vle.hw.families.{family}")
    top, platform = Top(chip), getattr(module, PLATFORMS[family])()
    return str(rtlil.convert(top, name="top", ports=ports(top), platform=platform, emit_src=False))


def _synthesised(text: str, passes: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "top.il")
        source.write_text(text)
        command = [sys.executable, "-c", SCRIPT, str(source), passes, folder]
        subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(Path(folder, "cells.json").read_text())
    counts: dict[str, int] = found["design"]["num_cells_by_type"]
    return {kind: count for kind, count in counts.items() if not kind.startswith("$")}
