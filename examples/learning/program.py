"""What all tasks share: options, progress, results as JSON, a table and a picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chip
import click
import matplotlib as mpl
import numpy as np
from integers import IntegerStudent
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vle.errors import VleError

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

INTEGER, FLOAT, TARGET, MUTED = "#0b6e8a", "#e08a1e", "0.15", "0.6"  # colours of all pictures


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Parameters
    ----------
    seeds
        Of networks, orders and drawn data.
    steps
        Of learning, for each network.
    chip
        Steps to run on the Verilog too.
    out
        Folder.
    """

    seeds: range
    steps: int
    chip: int
    out: Path
    progress: Progress = field(repr=False)

    def keep(self, seed: int) -> dict[str, int]:
        """Which steps the integer model keeps for the Verilog: of the first seed's, the middle."""
        asked = self.chip if seed == self.seeds[0] else 0
        return {"keep": asked, "begin": self.steps // 2}

    def track(self, what: str, parts: Iterable[Any]) -> Iterable[Any]:
        """Go through parts and show how far."""
        parts = list(parts)
        bar = self.progress.add_task(what, total=len(parts))
        for part in parts:
            yield part
            self.progress.advance(bar)
        self.progress.remove_task(bar)


@dataclass(frozen=True)
class Result:
    """What a task came to.

    Parameters
    ----------
    figures
        Everything, as JSON.
    rows
        What is printed: names and texts.
    draw
        Draws it.
    students
        Those whose window the Verilog is to run.
    """

    figures: dict[str, Any]
    rows: dict[str, str]
    draw: Callable[[Figure], None]
    students: dict[str, IntegerStudent]
    size: tuple[float, float] = (10, 7)


def program(
    name: str, steps: int, least: int = 1000
) -> Callable[[Callable[[Options], Result]], click.Command]:
    """Make a command of a task; its results go to `NAME.json` and `NAME.png`.

    Parameters
    ----------
    name
        Of the task.
    steps, least
        Of learning: unless told, and at least.
    """

    def command(task: Callable[[Options], Result]) -> click.Command:
        @click.command(name, help=task.__doc__)
        @click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
        @click.option("--steps", type=int, default=steps, show_default=True, help="of learning")
        @click.option(
            "--chip", type=click.IntRange(0), default=0, help="steps to run on the Verilog too"
        )
        @click.option("--out", type=Path, default=Path("build/learning"), show_default=True)
        @click.option("-q", "--quiet", is_flag=True, help="print nothing but errors")
        def main(seeds: int, steps: int, chip: int, out: Path, quiet: bool) -> None:
            console = Console(highlight=False, quiet=quiet)
            try:
                if steps < least:
                    raise ValueError(f"steps must be at least {least}, not {steps}")
                _run(console, name, task, Options(range(seeds), steps, chip, out, _bar(console)))
            except (VleError, ValueError, OSError, ModuleNotFoundError) as error:
                click.echo(f"{name}: error: {' '.join(str(error).split())}", err=True)
                raise SystemExit(2) from error

        return main

    return command


def _bar(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True)


def _run(console: Console, name: str, task: Callable[[Options], Result], options: Options) -> None:
    begun = time.process_time()
    with options.progress:
        result = task(options)
    options.out.mkdir(parents=True, exist_ok=True)
    compared = {
        what: chip.replay(student, options.out / f"{name}_{what}")
        for what, student in (result.students if options.chip else {}).items()
    }
    shown = {"task": name, "steps": options.steps, "seeds": list(options.seeds)}
    shown |= {
        "cpu_seconds": round(time.process_time() - begun, 1),
        **result.figures,
        "chip": compared,
    }
    text = json.dumps(shown, indent=1, default=_plain)
    (options.out / f"{name}.json").write_text(text + "\n")
    picture(options.out / f"{name}.png", result)
    rows = result.rows | {f"Verilog, {what}": chip.row(one) for what, one in compared.items()}
    table = Table(title=name, title_justify="left", show_header=False, box=None)
    for what, value in rows.items():
        table.add_row(what, value)
    console.print(table)
    console.print(f"{options.out / name}.json  {options.out / name}.png", soft_wrap=True)
    if not all(one["equal"] for one in compared.values()):
        raise SystemExit(1)


def _plain(value: Any) -> Any:
    return np.asarray(value).round(6).tolist()


def picture(path: Path, result: Result) -> None:
    """Draw a result into a file."""
    style = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with plt.rc_context(style | {"font.size": 9, "axes.titlelocation": "left"}):
        figure = plt.figure(figsize=result.size, layout="constrained")
        result.draw(figure)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def cosine(progress: float) -> float:
    """Rate of learning, from 1 down to a hundredth."""
    return 0.5 * (1 + np.cos(np.pi * progress)) + 0.01


def several(values: Iterable[float], digits: int = 3) -> str:
    """Return numbers as text, one for each seed."""
    return "  ".join(f"{value:.{digits}f}" for value in values)
