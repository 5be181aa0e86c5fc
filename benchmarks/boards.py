"""How long a bitstream takes on each board, and what comes out.

Runs `vle-compile --bitstream` in a process of its own, its tools already compiled for this machine
(the first runs are not counted), and writes ``boards.json`` into ``--out``: wall and CPU seconds,
the size of the bitstream, its clock, the cells taken and predicted.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
from rich.console import Console
from rich.table import Table

from vle.compiler.planning.boards import BOARDS, described
from vle.hw.build.families import TOOLS
from vle.hw.build.tools import program

MODELS = Path(__file__).parents[1] / "examples" / "models"
MNIST = ("mnist1d.onnx", "--calibration", str(MODELS / "mnist1d_calibration.npy"))
MODEL = {  # what is built, with its options: a model that fits
    "ulx3s-85f": (*MNIST, "--weight-bits", "8", "--lanes", "8"),
    "icebreaker": (
        *("digits_mlp.onnx", "--weight-bits", "8", "--rate-bits", "8"),
        *("--input-range", "0", "16"),
    ),
    "tang-nano-20k": (*MNIST, "--weight-bits", "8", "--lanes", "8"),
}
LIMIT_S = 300  # of a build, on two cores
CONSOLE = Console()


def warm(board: str) -> None:
    """Start every tool once: it compiles itself for this machine then."""
    tools = TOOLS[described(board).chip.family]
    for tool, option in ((tools.place, "--version"), (tools.pack, "--help")):
        subprocess.run([*program(*tool), option], capture_output=True, check=False)


def measured(board: str, seeds: int, folder: Path) -> dict[str, Any]:
    """Build for one board."""
    model, *options = MODEL[board]
    target = folder / board
    command = [sys.executable, "-c", "from vle.compiler.cli import main; main()"]
    command += [str(MODELS / model), *options, "--board", board, "--bitstream"]
    command += ["--seeds", str(seeds), "--no-sensitivity", "--json", "-o", str(target)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    manifest = json.loads((target / "design.json").read_text())
    return {
        "board": board,
        "options": " ".join([model, *options]),
        "lanes": report["lanes"],
        "cycles_per_step": report["cycles_per_step"],
        "wall_s": round(wall, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "within_limit": wall <= LIMIT_S,
        "bytes": (target / manifest["board"]["bitstream"]).stat().st_size,
        "sha256": manifest["board"]["sha256"],
        "timing": report["timing"],
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print what was found."""
    names = ("board", "lanes", "wall s", "CPU s", "bitstream", "clock", "median", "look-up tables")
    table = Table(*names)
    for row in rows:
        timing, luts = row["timing"], row["timing"]["resources"]["luts"]
        median = timing["median_fmax_hz"]
        table.add_row(
            row["board"],
            str(row["lanes"]),
            f"{row['wall_s']:g}",
            f"{row['cpu_s']:g}",
            f"{row['bytes']:,} bytes",
            f"{timing['clock_hz'] / 1e6:g} MHz",
            "-" if median is None else f"{median / 1e6:.1f} MHz",
            f"{luts['used']:,} of {luts['available']:,}, predicted {luts['predicted']:,}",
        )
    CONSOLE.print(table)


@click.command()
@click.option("--board", "boards", multiple=True, type=click.Choice(list(BOARDS)))
@click.option("--seeds", type=click.IntRange(1), default=2, help="As of vle-compile.")
@click.option("--out", type=click.Path(file_okay=False), default="build/bench")
def main(boards: tuple[str, ...], seeds: int, out: str) -> None:
    """Measure builds for all boards, or those named."""
    rows, folder = [], Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for board in boards or BOARDS:
        with CONSOLE.status(board):
            warm(board)
            rows.append(measured(board, seeds, folder / "boards"))
        (folder / "boards.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
