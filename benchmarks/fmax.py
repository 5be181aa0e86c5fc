"""The clock of a chip with its AXI ports on an ECP5, from several seeds of place and route.

Compiles a model, synthesises the chip with the primitives of the board's family, places and routes
it without pins (`--out-of-context`), and reads the highest clock of each seed and the cells taken.
Writes ``fmax.json`` and ``fmax.csv`` into ``--out``.
"""

from __future__ import annotations

import csv
import json
import os
import re
import statistics
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from vle.compiler import compile_model
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.boards import Board, board_named
from vle.compiler.planning.resources import fit
from vle.hw.build.families import TOOLS
from vle.hw.build.floorplan import floorplan
from vle.hw.build.timing import Run, read_run
from vle.hw.build.tools import Command, program, run_all
from vle.hw.synthesis import PASSES, netlist

MODELS = Path(__file__).parents[1] / "examples" / "models"
MODEL, CALIBRATION = MODELS / "mnist1d.onnx", MODELS / "mnist1d_calibration.npy"
LANES = {False: 48, True: 32}
CONSOLE = Console()


def synthesise(chip: ChipSpec, board: Board, folder: Path) -> None:
    """Make `top.json`, the netlist of the board's cells."""
    (folder / "top.il").write_text(netlist(chip, board))
    script = f"read_rtlil top.il\n{PASSES[board.family]} -noiopad -top top -json top.json\n"
    (folder / "top.ys").write_text(script)
    arguments = (sys.executable, "-m", "vle.hw.build.yosys", "top.ys")
    run_all([Command("yosys", arguments, "synthesis")], folder, lambda text: None)


def place(board: Board, seeds: range, clock_hz: float, folder: Path, say) -> list[Run]:
    """Place and route from each seed, as many at once as there are cores."""
    size = re.fullmatch(r"LFE5UM?5?G?-(\d+)F", board.device)
    if size is None:
        raise click.BadParameter(f"device must be an ECP5, not {board.device}", param_hint="board")
    device = (f"--{size[1]}k", "--package", "CABGA381")
    given = (*device, "--speed", "6", "--json", "top.json")
    options = (*given, *TOOLS["ecp5"].options, "--out-of-context", "--timing-allow-fail")
    tool = program(*TOOLS["ecp5"].place)
    floorplan(tool, device, folder, say)
    commands = []
    for seed in seeds:
        own = ("--freq", f"{clock_hz / 1e6}", "--seed", str(seed), "--report", f"seed{seed}.json")
        commands.append(Command("nextpnr", (*tool, *options, *own), f"seed {seed}"))
    run_all(commands, folder, say)
    reports = [(folder / f"seed{seed}.json").read_text() for seed in seeds]
    return [
        read_run(seed, clock_hz, text, TOOLS["ecp5"])
        for seed, text in zip(seeds, reports, strict=True)
    ]


def described(chip: ChipSpec, board: Board, runs: list[Run]) -> dict[str, Any]:
    """What was built, what it takes, how fast each seed is."""
    need = fit(chip, board)
    clocks = [run.fmax_hz for run in runs]
    return {
        "device": board.device,
        "learning": chip.learning is not None,
        "lanes": chip.folding.lanes,
        "engines": [[engine.pe, engine.simd] for engine in chip.folding.engines],
        "median_fmax_hz": statistics.median(clocks),
        "predicted": {kind: getattr(need, kind)[0] for kind in ("luts", "blocks", "multipliers")},
        "used": {kind: count for kind, (count, _) in runs[0].used.items()},
        "available": {kind: has for kind, (_, has) in runs[0].used.items()},
        "runs": [
            {
                "seed": run.seed,
                "fmax_hz": run.fmax_hz,
                "from": run.path.begin,
                "to": run.path.end,
                "routing_ns": run.path.routing_ns,
            }
            for run in runs
        ],
    }


def show(found: dict[str, Any]) -> None:
    """Draw both tables."""
    cells, clocks = Table("cells", "used", "of", "predicted"), Table("seed", "MHz", "from", "to")
    for kind, count in found["used"].items():
        predicted = found["predicted"].get(kind, "")
        cells.add_row(kind, f"{count:g}", f"{found['available'][kind]:g}", str(predicted))
    for run in found["runs"]:
        clocks.add_row(str(run["seed"]), f"{run['fmax_hz'] / 1e6:.1f}", run["from"], run["to"])
    CONSOLE.print(cells, clocks)
    CONSOLE.print(f"median {found['median_fmax_hz'] / 1e6:.1f} MHz")


@click.command()
@click.option("--model", type=click.Path(exists=True), default=str(MODEL))
@click.option("--calibration", type=click.Path(exists=True), default=str(CALIBRATION))
@click.option("--board", default="ulx3s-85f", help="A board with an ECP5.")
@click.option("--lanes", type=int, help="By default 48, or 32 where it learns.")
@click.option("--luts", type=int, help="Look-up tables to stay below, if that can be.")
@click.option("--learning", is_flag=True, help="A chip that learns.")
@click.option("--seeds", type=click.IntRange(1), default=5, help="How many, from 1 on.")
@click.option("--clock", type=float, default=120.0, help="What placing aims at, in MHz.")
@click.option("--out", type=click.Path(file_okay=False), default="build/bench")
def main(board: str, seeds: int, clock: float, out: str, **given: Any) -> None:
    """Measure the clock of a chip."""
    target, folder = board_named(board), Path(out) / "fmax"
    folder.mkdir(parents=True, exist_ok=True)
    with CONSOLE.status("compiling") as status:
        given["lanes"] = given["lanes"] or LANES[given["learning"]]
        given["calibration"] = np.load(given["calibration"])
        design = compile_model(board=target, **given)
        status.update("synthesising")
        synthesise(design.chip, target, folder)
        runs = place(target, range(1, seeds + 1), clock * 1e6, folder, status.update)
    found = described(design.chip, target, runs)
    name = "fmax_learning" if found["learning"] else "fmax"
    (Path(out) / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    with (Path(out) / f"{name}.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, found["runs"][0])
        rows.writeheader()
        rows.writerows(found["runs"])
    show(found)


if __name__ == "__main__":
    main()
