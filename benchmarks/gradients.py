"""Every local rule against the exact gradient, per layer, while networks train on three tasks.

Trains a network per task (filtered input, Adam, an update per step; one with a recurrent layer by
exact gradients), stops untrained, half trained and trained, and compares the gradients of sequences
from reset. Writes ``gradients.json``, ``gradients.txt`` (the table) and ``gradients.png`` into
``--out``.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import click
import numpy as np
from _checkpoints import Checkpoint, feedforward, recurrent
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from vle.sim import Network, tasks
from vle.sim.dynamics import LayerParameters
from vle.sim.gradients import RULES, adjoint_gradient, agreement, local_gradient
from vle.sim.gradients.compare import TIME_CONSTANTS, WEIGHTS

SAMPLES, CHUNK = 200, 50
CASES = {  # task: epochs of half trained, of trained
    "mnist1d": (10, 40),
    "lagnet": (20, 120),
    "mackey_glass": (10, 60),
    "mackey_glass, recurrent": (40, 200),
}
STYLES = {
    "instantaneous": "C7:",
    "prospective": "C3-",
    "filtered": "C0-",
    "bounded": "C2-",
    "prospective, learned B": "C1--",
    "prospective, no R^T e": "C3--",
    "filtered, no R^T e": "C0--",
    "bounded, no R^T e": "C2--",
}
STAGES = ("untrained", "half trained", "trained")


@dataclass(frozen=True)
class Row:
    """One rule on one network, a number per layer; NaN where a gradient is 0."""

    task: str
    stage: str
    epochs: int
    figure: float  # accuracy or normalized error on the validation split
    rule: str
    cosine: list[float]
    norm_ratio: list[float]
    tau_cosine: list[float]
    tau_norm_ratio: list[float]


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Training sequences; the target of frame t is judged when its answer is heard, in t + 1."""
    task = tasks.load(name)
    index = task.train[:SAMPLES]
    y = task.targets(index)
    return task.x[:, index], np.concatenate([np.full_like(y[:1], np.nan), y[:-1]])


def gradient(rule: str | None, network: Network, x: np.ndarray, y: np.ndarray) -> list:
    """Exact (None) or local gradient, some sequences at a time to bound the memory."""
    total = None
    for i in range(0, x.shape[1], CHUNK):
        arguments = network.parameters, network.settings, x[:, i : i + CHUNK], y[:, i : i + CHUNK]
        g = adjoint_gradient(*arguments) if rule is None else local_gradient(*arguments, rule)
        g = [p._replace(backward=None) for p in g]
        total = g if total is None else [_add(a, b) for a, b in zip(total, g, strict=True)]
    return total


def _add(a: LayerParameters, b: LayerParameters) -> LayerParameters:
    return LayerParameters(*(None if u is None else u + v for u, v in zip(a, b, strict=True)))


def variants(found: Checkpoint) -> dict[str, tuple[str, Network]]:
    """What is judged on a network: a rule, and the network whose errors it follows."""
    network = found.network
    judged = {rule: (rule, network) for rule in RULES}
    if found.mirrored is not None:
        judged["prospective, learned B"] = ("prospective", found.mirrored)
    if any(layer.recurrent is not None for layer in network.layers):
        without = replace(network, error_recurrence=False)
        judged |= {f"{rule}, no R^T e": (rule, without) for rule in RULES[1:]}
    return judged


def compare(name: str, stage: str, found: Checkpoint) -> list[Row]:
    """Compare every rule with the exact gradient of one network."""
    x, y = data(name.split(",", maxsplit=1)[0])
    exact = gradient(None, found.network, x, y)
    rows = []
    for label, (rule, network) in variants(found).items():
        pairs = list(zip(gradient(rule, network, x, y), exact, strict=True))
        numbers = []
        for names in (WEIGHTS, TIME_CONSTANTS):
            agreements = [agreement(a, b, names) for a, b in pairs]
            numbers += [[a.cosine for a in agreements], [a.norm_ratio for a in agreements]]
        rows.append(Row(name, stage, found.epochs, found.figure, label, *numbers))
    return rows


def measure(name: str, console: Console) -> list[Row]:
    """Train on a task, and compare every rule at each stage."""
    began = time.process_time()
    train = recurrent if name.endswith("recurrent") else feedforward
    checkpoints = train(name.split(",", maxsplit=1)[0], CASES[name])
    trained = time.process_time()
    stages = zip(STAGES, checkpoints, strict=True)
    rows = [row for stage, found in stages for row in compare(name, stage, found)]
    seconds = f"{trained - began:.0f} + {time.process_time() - trained:.0f} CPU-s"
    console.print(f"{name}: trained and compared in {seconds}", highlight=False)
    return rows


def table(rows: list[Row]) -> Table:
    """Cosine and norm ratio of weights and biases, a column for each with a number per layer."""
    result = Table(title="local rules against the exact gradient, layers from the bottom")
    for heading in ("task", "network", "rule"):
        result.add_column(heading, no_wrap=True)
    result.add_column("cosine", no_wrap=True)
    result.add_column("norm ratio", no_wrap=True)
    for k, row in enumerate(rows):
        first = row.rule == RULES[0]
        stage = f"{row.stage} ({row.epochs} epochs, {row.figure:.3g})" if first else ""
        result.add_row(
            row.task if first else "",
            stage,
            row.rule,
            " ".join(f"{c:5.2f}" for c in row.cosine),
            " ".join(f"{c:6.3g}" for c in row.norm_ratio),
            end_section=k + 1 == len(rows) or rows[k + 1].rule == RULES[0],
        )
    return result


def picture(rows: list[Row], path: Path) -> None:
    """Draw a row of panels per task: cosines at the left, norm ratios at the right."""
    names = list(dict.fromkeys(row.task for row in rows))
    figure = Figure(figsize=(19, 3.4 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 6, squeeze=False)
    ratios = [r for row in rows for r in row.norm_ratio if np.isfinite(r)]
    limits = max(min(ratios), 1e-2) / 1.3, min(max(ratios), 1e2) * 1.3  # some errors explode
    for i, name in enumerate(names):
        for j, stage in enumerate(STAGES):
            left, right = axes[i, j], axes[i, j + 3]
            here = [row for row in rows if (row.task, row.stage) == (name, stage)]
            for row in here:
                layers = range(len(row.cosine))
                left.plot(layers, row.cosine, STYLES[row.rule], marker="o", ms=4, label=row.rule)
                right.plot(layers, row.norm_ratio, STYLES[row.rule], marker="o", ms=4)
            left.set_ylim(-1.05, 1.05)
            left.axhline(0, color="0.8", lw=1, zorder=0)
            right.set_yscale("log")
            right.set_ylim(*limits)
            right.yaxis.set_major_formatter("{x:g}")
            right.axhline(1, color="0.8", lw=1, zorder=0)
            for axis, what in ((left, "cosine"), (right, "norm ratio")):
                axis.set_title(f"{name}\n{stage}: {what}", fontsize=9)
                axis.set_xticks(range(len(here[0].cosine)))
                axis.set_xlabel("layer, from the bottom", fontsize=8)
    handles: dict[str, Artist] = {}
    for axis in axes[:, 0]:
        lines, labels = axis.get_legend_handles_labels()
        handles |= dict(zip(labels, lines, strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=8)
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/bench"))
@click.option("--json", "as_json", is_flag=True, help="Write the rows as JSON.")
@click.option("--task", "chosen", multiple=True, type=click.Choice(list(CASES)))
def main(out: Path, as_json: bool, chosen: tuple[str, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    rows = [row for name in chosen or CASES for row in measure(name, console)]
    text = json.dumps([asdict(row) for row in rows], indent=1)
    (out / "gradients.json").write_text(text + "\n")
    with (out / "gradients.txt").open("w") as file:
        Console(file=file, width=220).print(table(rows))
    picture(rows, out / "gradients.png")
    if as_json:
        click.echo(text)
    else:
        click.echo((out / "gradients.txt").read_text(), nl=False)


if __name__ == "__main__":
    main()
