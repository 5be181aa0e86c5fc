"""The command `vle-explore`: many designs of a model, and which of them are worth a look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vle.command import leave
from vle.compiler.cli.command import PATH, reported
from vle.compiler.cli.goal import WidthList
from vle.compiler.planning.boards import BOARDS
from vle.errors import CompileError

NAME = "vle-explore"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, help="Folder. [build/NAME of the model-explore]")
@click.option("--calibration", type=PATH, help="Recorded inputs as .npy or .npz: (T, [batch,] in).")
@click.option("--labels", type=PATH, help="Their classes: accuracy takes the place of the error.")
@click.option("--input-range", nargs=2, type=float, help="Lowest and highest input. [-1 1]")
@click.option("--weight-bits", type=WidthList(), help="To try. [16,10,8,6,5,4]")
@click.option("--lanes", type=WidthList(), help="To try. [4,8,16,32,64]")
@click.option("--mixed", type=int, default=2, show_default=True, help="Mixed widths as well.")
@click.option("--board", help=f"That designs must fit: {', '.join(BOARDS)}, or a .toml file.")
@click.option("-j", "--workers", type=int, default=-1, help="Processes. [one per core]")
@click.option("--cluster", help="Address of a Dask scheduler, instead of processes.")
@click.option("--dt", type=float, help="Step of a NIR graph, in the unit of its time constants.")
@click.option("-q", "--quiet", is_flag=True, help="Write nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Write what was found as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
def command(*, quiet: bool, as_json: bool, verbose: bool, **options: Any) -> int:
    """Try weight widths by lanes for MODEL, on all cores: error, memory and clocks of each design.

    Writes explore.json and explore.png. What is found does not depend on the number of workers.
    """
    with reported(verbose, NAME) as failed:
        with _bar(quiet=quiet or as_json) as bar:
            found = _explore(bar, **options)
        if as_json:
            click.echo(json.dumps(found, indent=1))
        elif not quiet:
            _show(found)
    return failed[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code: 0, 2 for bad input, 1 for a bug of ours."""
    leave(command, NAME, arguments)


def _explore(
    bar: Callable[[str, int, int], None],
    *,
    model: Path,
    output: Path | None,
    calibration: Path | None,
    labels: Path | None,
    workers: int,
    cluster: str | None,
    **options: Any,
) -> dict[str, Any]:
    # Imported here, so that --help and a mistyped option answer at once.
    from vle.compiler.cli.data import read_array, read_calibration  # noqa: PLC0415
    from vle.compiler.explore.explore import explore_model  # noqa: PLC0415
    from vle.compiler.explore.files import save  # noqa: PLC0415
    from vle.compiler.explore.pool import pool  # noqa: PLC0415
    from vle.compiler.frontend import import_model  # noqa: PLC0415

    if workers == 0 or workers < -1:
        raise CompileError(f"workers must be 1 or more, or -1 for one per core, not {workers}")
    imported = import_model(model, dt=options.pop("dt"))
    data = None if calibration is None else read_calibration(calibration, imported.network)
    classes = None if labels is None else read_array(labels, "labels", "y")
    for name in ("weight_bits", "lanes"):
        value = options[name]
        options[name] = [value] if isinstance(value, int) else value
    with pool(workers, cluster, bar) as each:
        found = explore_model(imported, each, calibration=data, labels=classes, **options)
    save(found, output or Path("build") / f"{model.stem}-explore")
    return found


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar per kind of work, where somebody watches."""
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=quiet or not console.is_terminal
    ) as progress:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, count: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=count)

        yield show


def _show(found: dict[str, Any]) -> None:
    """Print the designs that no other beats."""
    out = Console(highlight=False)
    out.print(f"{len(found['designs'])} designs; those that no other is better than in all:")
    for row in found["designs"]:
        if row["pareto"]:
            each = row["weight_bits"] if row["mixed"] else row["weight_bits"][:1]
            bits = "-".join(map(str, each))
            hit = "" if row["accuracy"] is None else f", {row['accuracy']:.2%} right"
            out.print(
                f"  {bits} bit, {row['lanes']} lanes: error {row['error']:.3g}{hit}, "
                f"{row['memory_bits']:,} bits of memory, {row['cycles_per_step']:,.0f} clocks "
                f"per step, {row['multipliers']} multipliers",
                soft_wrap=True,
            )
    out.print(f"{found['model']} -> {found['folder']}", soft_wrap=True)
