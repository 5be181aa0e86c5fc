"""The program and the picture of a signal that follows a signal."""

from __future__ import annotations

from typing import Any

import numpy as np
from forecast import PARTS, Lesson, Run, exactly, learn, persistence
from matplotlib.figure import Figure
from program import FLOAT, INTEGER, MUTED, TARGET, Options, Result, several

COLORS = {"integer": INTEGER, "float64": FLOAT, "readout alone": MUTED}
SHOWN = 200  # steps of a sequence in the picture


def follow(lesson: Lesson, options: Options, *, full: int, input_as_answer: str) -> Result:
    """Learn by all means, and lay them beside each other."""
    task = lesson.task
    runs = [learn(lesson, seed, options) for seed in options.seeds]
    exact = exactly(task, options.seeds, None if options.steps >= full else 2)
    errors: dict[str, Any] = {name: [r.finals[name] for r in runs] for name in runs[0].finals}
    errors |= {"exact gradients": exact, input_as_answer: [persistence(task)]}
    ratio = np.mean(errors["integer"]) / np.mean(errors["float64"])
    figures = {
        "asked": "integer / float64 at most 1.1",
        "error": errors,
        "integer_over_float64": {
            "of means": float(ratio),
            "each": np.divide(errors["integer"], errors["float64"]),
        },
        "words_clamped": [r.integer.clamped for r in runs],
        "curves": [r.curves for r in runs],
    }
    rows = {f"error, {name}": several(found, 4) for name, found in errors.items()}
    rows["integer / float64, of means"] = f"{ratio:.3f}"
    students = {task.name: runs[0].integer}
    return Result(
        figures, rows, lambda figure: draw(figure, lesson, runs, errors, options.steps), students
    )


def draw(
    figure: Figure, lesson: Lesson, runs: list[Run], errors: dict[str, Any], steps: int
) -> None:
    """A sequence that nobody learned from; how errors fell; what they came to."""
    grid = figure.add_gridspec(2, 2, height_ratios=(1.2, 1), width_ratios=(1.6, 1))
    _answers(figure.add_subplot(grid[0, :]), lesson, runs[0])
    axes = figure.add_subplot(grid[1, 0])
    t = (np.arange(PARTS) + 0.5) * steps / PARTS / 1000
    for run in runs:
        for name, color in COLORS.items():
            label = name if run is runs[0] else None
            wide = {"linewidth": 3, "alpha": 0.35} if name == "float64" else {"linewidth": 1.1}
            axes.semilogy(t, run.curves[name], color=color, label=label, **wide)
    axes.set(xlabel="thousand steps", title="error while it learns")
    axes.grid(axis="y", which="both", alpha=0.2)
    axes.legend()
    axes = figure.add_subplot(grid[1, 1])
    for place, (name, found) in enumerate(reversed(errors.items())):
        color = COLORS.get(name, MUTED)
        axes.barh(place, np.mean(found), color=color, alpha=0.35, height=0.6)
        axes.plot(found, np.full(len(found), place), "o", color=color, markersize=4)
        axes.annotate(f"{np.mean(found):.3f}", (max(found), place), (6, 0), va="center",
                      textcoords="offset points")  # fmt: skip
    axes.set_yticks(range(len(errors)), list(reversed(errors)))
    axes.set(
        title="error in the end, new sequences", xlim=(0, 1.18 * max(map(max, errors.values())))
    )


def _answers(axes: Any, lesson: Lesson, run: Run) -> None:
    task, at = lesson.task, slice(50, 50 + SHOWN)
    t = task.dt * np.arange(SHOWN)
    y = task.y[at, task.test[0], 0]
    axes.plot(t, y, color=TARGET, linewidth=5, alpha=0.18, label="what it should be")
    axes.plot(t, task.x[at, task.test[0], 0], color=MUTED, linewidth=0.9, linestyle="--",
              label="input")  # fmt: skip
    for name in ("readout alone", "float64", "integer"):
        width = {"float64": 3, "integer": 1.2, "readout alone": 0.9}[name]
        axes.plot(t, run.answers[name][at, 0, 0], color=COLORS[name], linewidth=width, label=name,
                  alpha=0.5 if name == "float64" else 1)  # fmt: skip
    axes.legend(ncols=5, loc="upper left", bbox_to_anchor=(0, 1.16))
    axes.set(xlabel="time")
