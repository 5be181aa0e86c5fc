"""The picture of `make sim`: three answers laid over each other, and what is between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

CHANNELS = 10  # most that are drawn


@dataclass(frozen=True)
class Answers:
    """Signals `(T, batch, inputs)` and answers `(T, batch, outputs)`; the chip's may be fewer."""

    x: np.ndarray
    reference: np.ndarray
    model: np.ndarray
    chip: np.ndarray


def draw(answers: Answers, step: float, path: Path, sequence: int = 0) -> None:
    """Draw one sequence; `step` is the distance between neighbouring output words."""
    figure, axes = plt.subplots(
        3, 1, figsize=(9, 8), sharex=True, height_ratios=(1, 3, 1.5), layout="constrained"
    )
    x, reference, model, chip = (
        array[:, sequence] for array in (answers.x, answers.reference, answers.model, answers.chip)
    )
    axes[0].plot(x, color="0.2", linewidth=1)
    axes[0].set_ylabel("input")
    colors = plt.get_cmap("tab10").colors
    thin = max(1, len(chip) // 60)
    for channel in range(min(CHANNELS, chip.shape[1])):
        color = colors[channel % len(colors)]
        axes[1].plot(reference[:, channel], color=color, linewidth=5, alpha=0.25)
        axes[1].plot(model[:, channel], color=color, linewidth=1)
        steps = np.arange(channel % thin, len(chip), thin)
        axes[1].plot(steps, chip[steps, channel], ".", color=color, markersize=4)
        axes[2].plot(model[:, channel] - reference[:, channel], color=color, linewidth=1)
    for label, style in (
        ("float reference", {"linewidth": 5, "alpha": 0.25}),
        ("integer model", {"linewidth": 1}),
        ("Verilog", {"linestyle": "", "marker": ".", "markersize": 4}),
    ):
        axes[1].plot([], [], color="0.2", label=label, **style)
    axes[1].legend(loc="upper left", frameon=False)
    axes[1].set_ylabel("outputs")
    differing = int(np.count_nonzero(chip != model))
    axes[2].axhspan(-step / 2, step / 2, color="0.85", label="one output word")
    axes[2].legend(loc="upper left", frameon=False)
    axes[2].set_ylabel("integer model\n− float")
    axes[2].set_xlabel(f"step     (Verilog and integer model differ in {differing} words)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
