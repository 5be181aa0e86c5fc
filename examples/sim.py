"""A trained network in simulated hardware, laid over its integer model and its float reference.

`make sim` runs it; `python examples/sim.py --help` lists the options.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from overlay import Answers, draw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import vle.compiler
import vle.hw
import vle.sim
from vle.compiler import Design
from vle.compiler.circuit import timing
from vle.errors import VleError
from vle.host import Device, open_device
from vle.sim.tasks.mnist1d import read_samples

MODELS = Path(os.path.relpath(Path(__file__).parent / "models"))


@dataclass(frozen=True)
class Subject:
    """A model and the signals to run it on, `x` of shape `(T, batch, inputs)`."""

    model: Path
    calibration: Path
    x: np.ndarray
    labels: np.ndarray | None


class RefusedError(Exception):
    """The compiler refused the model, and has said why."""


@click.command()
@click.option("--model", type=Path, help="ONNX model [default: the bundled one]")
@click.option("--data", type=Path, help=".npy of shape (T, inputs) or (T, batch, inputs)")
@click.option("--labels", type=Path, help=".npy of the class of each sequence, (batch,)")
@click.option("--lanes", default=48, show_default=True, help="synapses worked on per clock")
@click.option("--weight-bits", default=16, show_default=True, help="bits of a weight")
@click.option("--sequences", default=100, show_default=True, help="how many to simulate, at most")
@click.option("--out", type=Path, default=Path("build/sim"), show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="show the traceback of an error")
def main(model, data, labels, verbose, **options) -> None:
    """Compile a model, simulate its Verilog on real data, compare every word."""
    console = Console(highlight=False)
    try:
        if options["sequences"] < 1:
            raise ValueError(f"--sequences must be 1 or more, not {options['sequences']}")
        subject = bundled() if model is None and data is None else own(model, data, labels)
        equal = run(console, subject, **options)
    except RefusedError:
        sys.exit(2)
    except (VleError, ValueError, OSError) as error:
        if verbose:
            raise
        click.echo(f"sim: error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    sys.exit(0 if equal else 1)


def bundled() -> Subject:
    """MNIST-1D: the bundled model, training samples to calibrate, the test set to run."""
    x, labels = read_samples(MODELS / "mnist1d_test.npz")
    return Subject(MODELS / "mnist1d.onnx", MODELS / "mnist1d_calibration.npy", x, labels)


def own(model: Path | None, data: Path | None, labels: Path | None) -> Subject:
    """A user's model, calibrated on the data that it runs on."""
    if model is None or data is None:
        raise ValueError("MODEL and DATA must be given both, as files")
    x = _array(data, "DATA")
    if x.ndim not in (2, 3) or not len(x):
        raise ValueError(f"{data}: DATA must be of shape (T, inputs) or (T, batch, inputs)")
    x = x[:, None] if x.ndim == 2 else x
    classes = _array(labels, "LABELS") if labels else None
    if classes is not None and classes.shape != (x.shape[1],):
        raise ValueError(f"{labels}: LABELS must be of shape ({x.shape[1]},), not {classes.shape}")
    if classes is not None and not ((classes >= 0) & (classes == np.floor(classes))).all():
        raise ValueError(f"{labels}: LABELS must be classes, whole numbers from 0")
    return Subject(model, data, x, classes)


def _array(path: Path, what: str) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: {what} must be an array saved by numpy.save") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise ValueError(f"{path}: {what} must be one array of numbers")
    return array


def compiled(console: Console, subject: Subject, options: list[str], out: Path) -> Path:
    """Compile with `vle-compile`, unless that was done with the very same files and options."""
    folder, stamp = out / "bundle", out / "bundle.sha256"
    digest = hashlib.sha256(repr(options).encode())
    parts = (vle.sim, vle.compiler, vle.hw)
    sources = sorted(path for part in parts for path in Path(part.__path__[0]).rglob("*.py"))
    for path in (subject.model, subject.calibration, *sources):
        digest.update(path.read_bytes())
    command = ["vle-compile", str(subject.model), "-o", str(folder)]
    command += ["--calibration", str(subject.calibration), *options]
    console.print(f"[bold]$ {shlex.join(command)}[/bold]", soft_wrap=True)
    there = all(path.exists() for path in (stamp, folder / "design.json", folder / "top.v"))
    if there and stamp.read_text() == digest.hexdigest():
        console.print("up to date")
        return folder
    out.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    program = Path(sys.executable).with_name(command[0])
    if subprocess.run([str(program), *command[1:]], check=False).returncode:
        raise RefusedError
    stamp.write_text(digest.hexdigest())
    return folder


def run(
    console: Console, subject: Subject, *, lanes: int, weight_bits: int, sequences: int, out: Path
) -> bool:
    """Run all three; return whether words and cycles of the Verilog are those of the model."""
    options = ["--lanes", str(lanes), "--weight-bits", str(weight_bits)]
    bundle = compiled(console, subject, options, out)
    with console.status("running the float reference and the integer model"):
        design = Design.load(bundle)
        reference = design.reference.run(subject.x)
        model = design.run(subject.x)
    with console.status("building the Verilog with Verilator (kept for next time)"):
        device = open_device(f"axi:{bundle}")  # on its own ports, where cycles can be counted
    with device:
        chip, seconds = simulate(console, device, subject.x[:, :sequences])
        ends = device.transport.frame_cycles.astype(np.int64)
    plan = np.array(timing.timing(design.chip).output_times(len(ends)))
    answers = Answers(subject.x, reference, model, chip)
    differing = int(np.count_nonzero(chip != model[:, :sequences]))
    facts = {
        "cycles_per_step": {"plan": float(design.cycles_per_step), "measured": steady(ends)},
        "words": {"compared": chip.size, "differing": differing},
        "simulation_seconds": round(seconds, 2),
        "largest_difference_from_float": float(np.abs(model - reference).max()),
        "accuracy": accuracies(answers, subject.labels),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "sim.json").write_text(json.dumps(facts, indent=2) + "\n")
    draw(answers, design.output_format.step, out / "sim.png")
    console.print(table(facts, answers))
    console.print(f"picture: {out / 'sim.png'}   numbers: {out / 'sim.json'}", soft_wrap=True)
    off = np.flatnonzero(np.diff(ends) != np.diff(plan))
    if off.size:
        console.print(f"[bold red]frame {off[0] + 1} did not take the cycles that are planned")
    return not (differing or off.size)


def steady(ends: np.ndarray) -> float:
    """Cycles per step in the second half of a run, given those in which frames were complete."""
    half = len(ends) // 2
    return float(ends[-1] - ends[half]) / max(1, len(ends) - 1 - half)


def simulate(console: Console, device: Device, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Run sequences one after the other; return outputs and seconds."""
    outputs, begin = [], time.monotonic()
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for k in progress.track(range(x.shape[1])):
            outputs.append(device.run(x[:, k]))
    return np.stack(outputs, axis=1), time.monotonic() - begin


def accuracies(answers: Answers, labels: np.ndarray | None) -> dict[str, float] | None:
    """Fraction of sequences whose summed outputs are largest at their class."""
    if labels is None:
        return None
    few = answers.chip.shape[1]
    parts = {
        "float": answers.reference,
        "integer model": answers.model,
        f"float, first {few}": answers.reference[:, :few],
        f"integer model, first {few}": answers.model[:, :few],
        f"Verilog, first {few}": answers.chip,
    }
    return {
        name: float((output.sum(0).argmax(-1) == labels[: output.shape[1]]).mean())
        for name, output in parts.items()
    }


def table(facts: dict, answers: Answers) -> Table:
    """The comparison, a row per question."""
    few, many = answers.chip.shape[1], answers.model.shape[1]
    caption = "accuracy: of the largest output, summed over the sequence"
    rows = Table(
        title="the same network three times", caption=caption if facts["accuracy"] else None
    )
    for column in ("", "float reference", "integer model", "Verilog"):
        rows.add_column(column, justify="right" if column else "left")
    rows.add_row("sequences", str(many), str(many), str(few))
    accuracy = facts["accuracy"]
    if accuracy:
        for title, tail, names in (
            ("accuracy, all", "", ("float", "integer model")),
            (f"accuracy, first {few}", f", first {few}", ("float", "integer model", "Verilog")),
        ):
            rows.add_row(title, *(f"{100 * accuracy[name + tail]:.1f} %" for name in names))
    words, cycles = facts["words"], facts["cycles_per_step"]
    rows.add_row("output words compared", "", "", f"{words['compared']:,}")
    colour = "red" if words["differing"] else "green"
    rows.add_row("words that differ", "", "", f"[bold {colour}]{words['differing']}")
    error = facts["largest_difference_from_float"]
    rows.add_row("largest difference from float", "", f"{error:.2g}", f"{error:.2g}")
    rows.add_row("cycles per step", "", f"{cycles['plan']:g} planned", f"{cycles['measured']:g}")
    rows.add_row("seconds of simulation", "", "", f"{facts['simulation_seconds']:.1f}")
    return rows


if __name__ == "__main__":
    main()
