"""The command `vle-train`: train a network on a task, and write it as an ONNX file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vle.sim import tasks
from vle.sim.train import recipe as recipes
from vle.sim.train.recipe import LEARNING, SCHEDULES, TAUS, Recipe

if TYPE_CHECKING:
    from vle.sim.train.trainer import Epoch, Trainer

# One thread: more make small matrices slower, and the order of sums would depend on the machine.
_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def _widths(context: Any, parameter: Any, value: str | None) -> tuple[int, ...] | None:
    """Return the neurons of each hidden layer, of `53x6` or `32,16`."""
    if value is None:
        return None
    try:
        if "x" in value:
            width, depth = value.split("x")
            return (int(width),) * int(depth)
        return tuple(int(width) for width in value.split(","))
    except ValueError:
        raise click.UsageError(f"--widths must be like 53x6 or 32,16, not {value!r}") from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("task", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. [build/train/TASK]")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on from a checkpoint.npz.")
@click.option("--learning", help=f"One of {', '.join(LEARNING)}.")
@click.option("--widths", callback=_widths, help="Hidden layers, as 53x6 or 32,16.")
@click.option("--activation", help="Of the hidden layers.")
@click.option("--epochs", type=int)
@click.option("--batch", type=int, help="Sequences per batch.")
@click.option("--seed", type=int)
@click.option("--rate", type=float, help="Of Adam, at its highest.")
@click.option("--schedule", help=f"One of {', '.join(SCHEDULES)}.")
@click.option("--update", help="A local rule updates once per step or per sequence.")
@click.option("--tau", help=f"Initial time constants: {', '.join(TAUS)}.")
@click.option("--learn-tau/--fixed-tau", default=None)
@click.option("--weight-decay", type=float)
@click.option("--noise-bits", type=int, help="Train with the rounding noise of so many bits.")
@click.option("--augment/--no-augment", default=None)
@click.option("-q", "--quiet", is_flag=True, help="Write nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
def command(
    *,
    task: str | None,
    out: Path | None,
    resume: Path | None,
    quiet: bool,
    as_json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train a network on TASK and write it, with its curve and a report, into a folder.

    TASK is mnist1d, lagline, lagnet, mackey_glass or japanese_vowels. What is not given follows
    the task's own recipe. The epoch is chosen on the validation split; the test split is looked
    at once, at the end. Ctrl-C leaves the last checkpoint, to --resume from.
    """
    os.environ.setdefault("XLA_FLAGS", _XLA)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    given = {name: value for name, value in options.items() if value is not None}
    try:
        trainer = _trainer(task, resume, given)
        out = out or (resume.parent if resume else Path("build/train") / trainer.recipe.task)
        out.mkdir(parents=True, exist_ok=True)
        trainer.save(out / "checkpoint.npz")  # a folder that cannot be written is found now
        seconds = _train(trainer, out, quiet=quiet or as_json)
        report = _finish(trainer, out, seconds)
    except (ValueError, OSError, ModuleNotFoundError, FloatingPointError) as error:
        if verbose:
            raise
        raise click.UsageError(" ".join(str(error).split())) from error
    if as_json:
        click.echo(json.dumps(report))
    elif not quiet:
        _show(report, out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a mistake is one line and exit code 2, Ctrl-C is 130."""
    try:
        sys.exit(command.main(arguments, prog_name="vle-train", standalone_mode=False) or 0)
    except click.ClickException as error:
        click.echo(f"vle-train: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        click.echo("vle-train: interrupted; go on with --resume", err=True)
        sys.exit(130)


def _trainer(task: str | None, resume: Path | None, given: dict[str, Any]) -> Trainer:
    recipe: Recipe | None = None
    if resume is not None:
        if task is not None or given:
            raise ValueError("--resume must be given without a task and a recipe, it has its own")
    elif task is None:
        raise ValueError(f"task must be one of {', '.join(tasks.NAMES)}, not nothing")
    else:
        recipe = recipes.default(task, **given)
    from vle.sim.train.trainer import Trainer  # noqa: PLC0415 - JAX is slow to import

    if recipe is not None:
        return Trainer(tasks.load(recipe.task), recipe)
    assert resume is not None
    return Trainer.resume(resume, tasks.load)


def _train(trainer: Trainer, out: Path, *, quiet: bool) -> float:
    """Train what is left, a checkpoint after each epoch; return the CPU seconds it took."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    start = time.process_time()
    console = Console(stderr=True)
    percent = "{task.percentage:3.0f} %"
    columns = (
        "{task.description}",
        BarColumn(20),
        percent,
        TimeRemainingColumn(),
        "{task.fields[line]}",
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden) as progress:
        bar = progress.add_task(trainer.recipe.task, total=trainer.recipe.epochs, line="")
        progress.update(bar, completed=len(trainer.history))

        def tick(batch: int, batches: int) -> None:
            progress.update(bar, completed=len(trainer.history) + batch / batches)

        for done in trainer.epochs(tick):
            trainer.save(out / "checkpoint.npz")
            progress.update(bar, completed=done.epoch, line=_line(done))
            if not quiet and not console.is_terminal:
                console.print(_line(done), highlight=False, soft_wrap=True)
    return time.process_time() - start


def _line(done: Epoch) -> str:
    name = "accuracy" if done.validation.higher_is_better else "error"
    return (
        f"epoch {done.epoch}: cost {done.cost:.4g}, "
        f"validation {done.validation.cost:.4g}, {name} {done.validation.figure:.4g}"
    )


def _finish(trainer: Trainer, out: Path, seconds: float) -> dict[str, Any]:
    """Write model, curve and report of the best epoch, judged in float64 by `Network.run`."""
    from vle.sim.train.checkpoint import write_atomically  # noqa: PLC0415
    from vle.sim.train.curve import draw  # noqa: PLC0415
    from vle.sim.train.evaluate import evaluate  # noqa: PLC0415

    task, network, best = trainer.task, trainer.trained, trainer.best
    temporary = out / ".model.tmp.onnx"
    try:
        network.save(temporary)
        temporary.replace(out / "model.onnx")
    finally:
        temporary.unlink(missing_ok=True)
    title = f"{task.name}: {trainer.recipe.learning} learning, seed {trainer.recipe.seed}"
    write_atomically(out / "curve.png", draw(trainer.history, best.epoch, title))
    validation = evaluate(network, task, task.validation)
    test = evaluate(network, task, task.test)
    report = {
        "task": task.name,
        "figure": "accuracy" if test.higher_is_better else "normalized rms error",
        "validation": validation.figure,
        "test": test.figure,
        "epoch": best.epoch,
        "parameters": sum(a.size for p in network.parameters for a in p[:2]),
        "cpu_seconds": round(seconds, 1),
        "model": str(out / "model.onnx"),
        "recipe": trainer.recipe.to_json(),
        "history": [[e.epoch, e.cost, *e.validation[:2]] for e in trainer.history],
    }
    write_atomically(out / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    return report


def _show(report: dict[str, Any], out: Path) -> None:
    click.echo(
        f"{report['task']}: {report['figure']} {report['validation']:.4g} (validation), "
        f"{report['test']:.4g} (test), epoch {report['epoch']}, "
        f"{report['cpu_seconds']} CPU-s; wrote model.onnx, curve.png, report.json to {out}"
    )
