"""The chip's gradients against the exact ones, beside those of the float rule, at three depths.

Trains networks of 2, 4 and 7 layers on MNIST-1D by exact gradients, compiles them for learning, and
sums what the integer model's updates multiply (errors and inputs, in real units) over sequences
from reset. Writes ``chip_gradients.json``, ``chip_gradients.txt`` and ``chip_gradients.png`` into
``--out``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import click
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from vle.compiler import compile_model
from vle.compiler.learning.design import LearningDesign
from vle.compiler.learning.network import Target
from vle.compiler.learning.targets import Targets
from vle.compiler.quantization.learning import LearningOptions
from vle.sim import Network, tasks
from vle.sim.dynamics import LayerParameters
from vle.sim.gradients import adjoint_gradient, agreement, local_gradient
from vle.sim.gradients.compare import WEIGHTS
from vle.sim.tasks import Task
from vle.sim.train import recipe as recipes
from vle.sim.train.trainer import Trainer
from vle.sim.train.variables import to_network

SAMPLES, EPOCHS, WIDTH = 12, 8, 53
DEPTHS = (2, 4, 7)
RULES = ("prospective", "filtered")


@dataclass(frozen=True)
class Row:
    """One rule on one network: a number per layer."""

    depth: int
    trained: bool
    rule: str
    float_cosine: list[float]
    chip_cosine: list[float]
    float_norm_ratio: list[float]
    chip_norm_ratio: list[float]

    @property
    def cosine_gap(self) -> float:
        """Largest difference of the chip's cosine from the float rule's."""
        return max(abs(a - b) for a, b in zip(self.float_cosine, self.chip_cosine, strict=True))

    @property
    def norm_gap(self) -> float:
        """Largest relative difference of the chip's norm from the float rule's."""
        pairs = zip(self.float_norm_ratio, self.chip_norm_ratio, strict=True)
        return max(abs(chip / exact - 1) for exact, chip in pairs)


def networks(task: Task, depth: int) -> list[Network]:
    """Untrained and trained; published time constants, three pairs of them in a layer."""
    recipe = recipes.default(
        task.name, widths=(WIDTH,) * (depth - 1), tau="groups", learn_tau=False, epochs=EPOCHS
    )
    trainer = Trainer(task, recipe)
    start = trainer.network
    for _ in trainer.epochs():
        pass
    return [start, to_network(trainer.learner.variables, start)]


def chip_gradient(design: LearningDesign, x: np.ndarray, y: np.ndarray) -> list[LayerParameters]:
    """What the updates of one sequence would sum to, in real units, weights held still."""
    net, state = design.learning, design.learning.reset()
    words = design.input_format.quantize(x)
    targets = Targets.of(net, y, len(x), are_errors=False)
    sums = [np.zeros((layer.outputs, layer.columns + 1)) for layer in net.network.layers]
    for t, frame in enumerate(words):
        heard = [frame, *(run.r[0] for run in state.run.layers[:-1])]
        traces = [layer.trace for layer in state.learning]
        target = Target(targets.words[t]) if targets.present[t] else None
        state, results = net.step(state, frame, target, learn=False)
        for k, (layer, learning, got) in enumerate(
            zip(net.network.layers, net.learning, results, strict=True)
        ):
            f_x, trace = layer.x_format.f_bits, traces[k]
            error = got.errors.e if trace is None else got.errors.inst_e
            if trace is None:
                inputs = np.broadcast_to(
                    np.ldexp(heard[k].astype(float), -f_x), sums[k][:, 1:].shape
                )
            else:
                bars = trace.bar[learning.group].astype(float)
                inputs = np.ldexp(bars, learning.bar_drop - f_x)
            real = np.ldexp(error.astype(float), got.exponent)[:, None]
            sums[k][:, 1:] -= real * inputs
            sums[k][:, :1] -= real
    return [LayerParameters(s[:, 1:], s[:, 0], None, None) for s in sums]


def compare(depth: int, network: Network, trained: bool, task: Task) -> list[Row]:
    """Both rules on one network."""
    index = task.train[:SAMPLES]
    targets = task.targets(index)
    x, y = task.x[:, index], np.concatenate([np.full_like(targets[:1], np.nan), targets[:-1]])
    exact = adjoint_gradient(network.parameters, network.settings, x, y)
    rows = []
    for rule in RULES:
        told = replace(network, plasticity=rule)
        floats = local_gradient(told.parameters, told.settings, x, y, rule)
        design = compile_model(
            told, calibration=task.x[:, task.train[:100]], learning=LearningOptions()
        )
        parts = [chip_gradient(design, x[:, k], y[:, k]) for k in range(len(index))]
        chip = [
            LayerParameters(sum(p.weight for p in layer), sum(p.bias for p in layer), None, None)
            for layer in zip(*parts, strict=True)
        ]
        numbers = []
        for found in (floats, chip):
            agreements = [agreement(a, b, WEIGHTS) for a, b in zip(found, exact, strict=True)]
            numbers.append(([a.cosine for a in agreements], [a.norm_ratio for a in agreements]))
        (c0, n0), (c1, n1) = numbers
        rows.append(Row(depth, trained, rule, c0, c1, n0, n1))
    return rows


def table(rows: list[Row]) -> Table:
    """Cosines and norm ratios, a number per layer."""
    result = Table(
        title="gradients against the exact ones: float rule / chip, layers from the bottom"
    )
    for heading in ("layers", "network", "rule", "cosine", "norm ratio", "largest gaps"):
        result.add_column(heading, no_wrap=True)
    for row in rows:
        result.add_row(
            str(row.depth),
            "trained" if row.trained else "untrained",
            row.rule,
            "\n".join(
                " ".join(f"{c:6.3f}" for c in k) for k in (row.float_cosine, row.chip_cosine)
            ),
            "\n".join(
                " ".join(f"{n:6.3g}" for n in k)
                for k in (row.float_norm_ratio, row.chip_norm_ratio)
            ),
            f"{row.cosine_gap:.4f} {row.norm_gap:.2%}",
            end_section=True,
        )
    return result


def picture(rows: list[Row], path: Path) -> None:
    """Cosines and norm ratios per layer: lines are the float rule, dots the chip."""
    figure = Figure(figsize=(14, 7), layout="constrained")
    axes = figure.subplots(2, 2 * len(DEPTHS) // 2, squeeze=False)
    for column, depth in enumerate(DEPTHS):
        for row in (r for r in rows if r.depth == depth):
            color = f"C{2 * RULES.index(row.rule) + row.trained}"
            label = f"{row.rule}, {'trained' if row.trained else 'untrained'}"
            for line, (exact, chip) in enumerate(
                ((row.float_cosine, row.chip_cosine), (row.float_norm_ratio, row.chip_norm_ratio))
            ):
                axis = axes[line, column]
                axis.plot(exact, color=color, lw=1, label=label)
                axis.plot(chip, "o", color=color, ms=5)
        axes[0, column].set_title(f"{depth} layers")
        axes[0, column].set_ylim(-1.05, 1.05)
        axes[1, column].set_yscale("log")
        for line in range(2):
            axes[line, column].set_xticks(range(depth))
        axes[1, column].set_xlabel("layer, from the bottom")
    axes[0, 0].set_ylabel("cosine with the exact gradient")
    axes[1, 0].set_ylabel("norm ratio")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, title="lines: float; dots: chip"
    )
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/bench"))
@click.option("--depth", "depths", multiple=True, type=int, default=DEPTHS)
def main(out: Path, depths: tuple[int, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    console, task, rows = Console(stderr=True), tasks.load("mnist1d"), []
    for depth in depths:
        for trained, network in enumerate(networks(task, depth)):
            rows += compare(depth, network, bool(trained), task)
        console.print(f"{depth} layers done", highlight=False)
    plain = [asdict(r) | {"cosine_gap": r.cosine_gap, "norm_gap": r.norm_gap} for r in rows]
    (out / "chip_gradients.json").write_text(json.dumps(plain, indent=1) + "\n")
    with (out / "chip_gradients.txt").open("w") as file:
        Console(file=file, width=200).print(table(rows))
    Console(width=200).print(table(rows))
    picture(rows, out / "chip_gradients.png")


if __name__ == "__main__":
    main()
