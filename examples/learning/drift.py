"""Drift: a classifier loses accuracy as its sensor drifts, and wins it back on the chip.

    python examples/learning/drift.py [--seeds 3] [--steps 144000] [--chip 500]

Nine speakers say a vowel. The chip learns them from scratch; then gains and offsets of the 12
channels change and one channel dies, or two speakers are new. From then on it is told who speaks in
the second half of each utterance only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from course import Course, classes, joined
from integers import IntegerStudent
from matplotlib.figure import Figure
from networks import network
from program import FLOAT, INTEGER, MUTED, TARGET, Options, Result, cosine, program, several

from vle.sim import Network, tasks
from vle.sim.tasks.drift import Drift

TAU_M = np.repeat([1.0, 2.0, 4.0, 8.0], 8)
LATE = 2  # steps that an answer is late: frames of zeros follow each utterance
RATE, DRIFTED_RATE = 0.005, 0.01
PARTS = (40, 20)  # of the steps before the drift, and after it
KINDS = ("sensor", "speakers")
NEW = 2  # speakers


@dataclass(frozen=True)
class Phase:
    """What is heard, what is learned from, what is asked."""

    task: tasks.Task
    trained_on: np.ndarray
    asked: np.ndarray


@dataclass(frozen=True)
class Run:
    """Accuracies in percent on fresh utterances, the chip frozen; and how it went on the way."""

    kind: str
    steps: int
    before: float
    drifted: float
    after: float
    heard: list[np.ndarray]  # per phase: whether each utterance was answered rightly, learning
    labelled: float  # part of the steps after the drift that had a label
    student: IntegerStudent
    phases: tuple[Phase, Phase]

    @property
    def won_back(self) -> float:
        """Part of the loss, in percent."""
        return 100 * (self.after - self.drifted) / max(self.before - self.drifted, 1e-9)


def untaught(seed: int) -> Network:
    """12-32-32-9 with time constants of 1 to 8 frames."""
    taus = [(TAU_M, 1.0), (TAU_M, 1.0), (4.0, 1.0)]
    return network([12, 32, 32, 9], taus, 1.0, loss="cross_entropy", seed=seed)


def phases(kind: str, task: tasks.Task, seed: int, asked: np.ndarray) -> tuple[Phase, Phase]:
    """Before and after a drift."""
    if kind == "sensor":
        drift = Drift.draw(task.inputs, 1000 + seed, gain=0.5, offset=0.7, dead=1)
        return Phase(task, task.train, asked), Phase(drift(task), task.train, asked)
    new = np.random.default_rng(1000 + seed).permutation(task.classes)[:NEW]
    known = [index[~np.isin(task.y[index], new)] for index in (task.train, asked)]
    return Phase(task, *known), Phase(task, task.train, asked)


def course(phase: Phase, steps: int, rng: np.random.Generator, *, half: bool) -> Course:
    """Utterances in random order; whose, is told always, or in the second half of their steps."""

    def one(i: int) -> Course:
        length = phase.task.lengths[i] + LATE
        x = np.zeros((length, phase.task.inputs))
        x[:-LATE] = phase.task.x[: length - LATE, i]
        first = length - length // 2 if half else LATE + 1
        return classes(x, phase.task.y[i], np.arange(length) >= first, freeze=half)

    order = (i for _ in iter(int, 1) for i in rng.permutation(phase.trained_on))
    return joined(map(one, order), steps)


def decided(output: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Class of each utterance: the largest of the sums from the first answer on."""
    step = np.arange(len(output))[:, None]
    mask = (step >= LATE) & (step < lengths + LATE)
    return (output * mask[..., None]).sum(0).argmax(1)


def right(student: IntegerStudent, phase: Phase) -> float:
    """Utterances answered rightly, in percent; nothing is learned."""
    task, index = phase.task, phase.asked
    x = np.pad(task.x[:, index], ((0, LATE), (0, 0), (0, 0)))
    return 100 * float((decided(student.run(x), task.lengths[index]) == task.y[index]).mean())


def heard(answers: np.ndarray, course: Course) -> np.ndarray:
    """Whether each utterance of a stream was answered rightly while it was heard."""
    begins = np.nonzero(course.start)[0]
    ends = np.append(begins[1:], len(course.x))
    whole = [(b, e) for b, e in zip(begins, ends, strict=True) if e - b > LATE]
    found = [answers[b + LATE : e].sum(0).argmax() == course.y[e - 1] for b, e in whole]
    return np.array(found, bool)


def learn(
    options: Options,
    task: tasks.Task,
    kind: str,
    seed: int,
    *,
    asked: np.ndarray,
    rates: tuple[float, float] = (RATE, DRIFTED_RATE),
) -> Run:
    """From scratch, then the drift, then on."""
    two, rng = phases(kind, task, seed, asked), np.random.default_rng(seed)
    student = IntegerStudent.compiled(
        untaught(seed),
        2 * task.x[:, task.train[:50]],  # room for what a sensor may become
        weight_range=4.0,
        output_range=32.0,
        seed=seed + 1,
        **(options.keep(seed) | {"begin": 5 * options.steps // 6}),
    )
    lengths = 2 * options.steps // 3, options.steps // 3
    drifted, before, answers = 0.0, 0.0, []
    for k, phase in enumerate(two):
        whole = course(phase, lengths[k], rng, half=k == 1)
        parts, found = whole.parts(min(PARTS[k], lengths[k])), []
        for n, part in enumerate(options.track(f"{kind}, seed {seed}", parts)):
            found.append(student.learn(part, rates[k] * cosine(n / len(parts))))
        answers.append(heard(np.concatenate(found), joined(parts)))
        if k == 0:
            before, drifted = (right(student, p) for p in two)
    told = float((whole.y >= 0).mean())
    after = right(student, two[1])
    return Run(kind, options.steps, before, drifted, after, answers, told, student, two)


@program("drift", steps=144_000)
def main(options: Options) -> Result:
    """A classifier loses accuracy as its sensor drifts, and wins it back on the chip."""
    task = tasks.load("japanese_vowels")
    both = np.concatenate([task.train, task.validation])
    task = replace(task, train=both, validation=task.validation[:0])
    runs = [
        learn(options, task, kind, seed, asked=task.test)
        for kind in KINDS
        for seed in options.seeds
    ]
    of = {kind: [r for r in runs if r.kind == kind] for kind in KINDS}
    kinds = {kind: _figures(found) for kind, found in of.items()}
    figures: dict[str, Any] = {
        "asked": "15 points lost, 80 % of them won back, labels in at most half of the steps",
        "utterances_asked": len(task.test),
        **kinds,
    }
    rows = {}
    for kind, found in kinds.items():
        for name, values in found.items():
            rows[f"{kind}: {name.replace('_', ' ')}"] = several(values, 1)
    students = {kind: found[0].student for kind, found in of.items()}
    return Result(figures, rows, lambda figure: draw(figure, of), students, size=(10, 8))


def _figures(runs: list[Run]) -> dict[str, list[float]]:
    asked: dict[str, Callable[[Run], float]] = {
        "accuracy_before": lambda r: r.before,
        "accuracy_drifted": lambda r: r.drifted,
        "accuracy_after": lambda r: r.after,
        "points_lost": lambda r: r.before - r.drifted,
        "percent_won_back": lambda r: r.won_back,
        "percent_of_steps_labelled": lambda r: 100 * r.labelled,
    }
    return {name: [value(run) for run in runs] for name, value in asked.items()}


def draw(figure: Figure, of: dict[str, list[Run]]) -> None:
    """The sensor before and after; accuracy on the way; what it came to."""
    grid = figure.add_gridspec(3, 2, width_ratios=(2.2, 1), height_ratios=(1, 1.3, 1.3))
    cells = grid[0, :].subgridspec(1, 2)
    for k, name in enumerate(("an utterance", "as the drifted sensor hears it")):
        axes = figure.add_subplot(cells[k])
        phase = of["sensor"][0].phases[k]
        length = phase.task.lengths[phase.asked[0]]
        axes.imshow(phase.task.x[:length, phase.asked[0]].T, aspect="auto", cmap="RdBu", vmin=-3,
                    vmax=3)  # fmt: skip
        axes.set(title=name, ylabel="channel" if not k else "", xticks=(), yticks=())
    for row, (kind, runs) in enumerate(of.items(), 1):
        _on_the_way(figure.add_subplot(grid[row, 0]), kind, runs)
        _in_the_end(figure.add_subplot(grid[row, 1]), runs)


def _on_the_way(axes: Any, kind: str, runs: list[Run]) -> None:
    steps = runs[0].steps / 1000
    for run in runs:
        count = [len(part) for part in run.heard]
        t = [np.linspace(0, 2 / 3, count[0]), np.linspace(2 / 3, 1, count[1])]
        width = max(1, min(100, count[0] // 20))
        smooth = np.convolve(np.concatenate(run.heard), np.full(width, 100 / width), "valid")
        times = steps * np.concatenate(t)[width - 1 :]
        axes.plot(times, smooth, color=INTEGER, linewidth=1, alpha=0.7)
    axes.axvspan(2 * steps / 3, steps, color=FLOAT, alpha=0.12, linewidth=0)
    axes.annotate("drifted; told in half of the steps", (steps, 4), ha="right", color=TARGET)
    names = {"sensor": "gain, offset, a dead channel", "speakers": f"{NEW} new speakers"}
    axes.set(
        title=f"{names[kind]}: right while it learns, %", ylim=(0, 101), xlabel="thousand steps"
    )


def _in_the_end(axes: Any, runs: list[Run]) -> None:
    bars = np.array([[r.before, r.drifted, r.after] for r in runs])
    colors = (MUTED, FLOAT, INTEGER)
    for place, color in enumerate(colors):
        axes.bar(place, bars[:, place].mean(), color=color, alpha=0.4, width=0.6)
        axes.plot(np.full(len(bars), place), bars[:, place], "o", color=color, markersize=4)
    axes.set_xticks(range(3), ("before", "drifted", "after"))
    axes.set(title="new utterances, %", ylim=(0, 101))


if __name__ == "__main__":
    main()
