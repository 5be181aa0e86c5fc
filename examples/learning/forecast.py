"""Signals that follow signals: what LagNet and Mackey-Glass share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from course import Course, joined, values
from floats import FloatStudent
from integers import IntegerStudent
from program import Options, cosine

from vle.sim import Network, tasks
from vle.sim.train import recipe as recipes
from vle.sim.train.trainer import Trainer

PARTS, SKIP = 40, 50  # parts of a run; steps of a sequence before it is judged
LAYERS = 3


@dataclass(frozen=True)
class Lesson:
    """A task, the network that is to learn it, and how.

    Parameters
    ----------
    task
        The data.
    untaught
        From a seed to a network.
    rate, readout_rate
        At first, of all layers; of the readout where it learns alone.
    reach
        Magnitude of weights and outputs that the chip's words hold.
    """

    task: tasks.Task
    untaught: Callable[[int], Network]
    rate: float
    readout_rate: float
    reach: float = 4.0


@dataclass(frozen=True)
class Run:
    """One seed: errors after each part and in the end, on sequences that nobody learned from."""

    seed: int
    integer: IntegerStudent
    curves: dict[str, list[float]]  # of "integer", "float64": while learning, part by part
    finals: dict[str, float]
    answers: dict[str, np.ndarray]  # to the test sequences, (T, n, outputs)


def nrmse(output: np.ndarray, target: np.ndarray) -> float:
    """Root of the mean square, in units of the target's deviation, behind the first steps."""
    output, target = output[SKIP:], target[SKIP:]
    return float(np.sqrt(((output - target) ** 2).mean() / target.var()))


def course(task: tasks.Task, steps: int, seed: int) -> Course:
    """Training sequences in random order, again and again."""
    rng = np.random.default_rng(seed)
    order = (i for _ in iter(int, 1) for i in rng.permutation(task.train))
    return joined((values(task.x[:, i], task.y[:, i], LAYERS) for i in order), steps)


def learn(lesson: Lesson, seed: int, options: Options) -> Run:
    """Teach the integer model, its readout alone, and float64."""
    task, start = lesson.task, lesson.untaught(seed)
    x, y = task.x[:, task.test], task.y[:, task.test]

    def integer(**keep: int) -> IntegerStudent:
        reach = {"weight_range": lesson.reach, "output_range": lesson.reach}
        return IntegerStudent.compiled(start, task.x[:, task.train[:8]], **reach, **keep)

    students = {
        "integer": (integer(**options.keep(seed)), lesson.rate),
        "float64": (FloatStudent(start), lesson.rate),
        "readout alone": (integer(), [0.0] * (LAYERS - 1) + [lesson.readout_rate]),
    }
    parts = course(task, options.steps, seed).parts(PARTS)
    curves: dict[str, list[float]] = {name: [] for name in students}
    for k, part in enumerate(options.track(f"{task.name}, seed {seed}", parts)):
        for name, (student, rate) in students.items():
            answers = student.learn(part, list(np.multiply(rate, cosine(k / PARTS)) * np.ones(3)))
            told = ~np.isnan(part.y[1:, 0])
            error = (answers[:-1] - part.y[1:])[told]
            curves[name].append(float(np.sqrt((error**2).mean() / part.y[1:][told].var())))
    answers = {name: student.run(x) for name, (student, _) in students.items()}
    finals = {name: nrmse(answer, y) for name, answer in answers.items()}
    return Run(seed, students["integer"][0], curves, finals, answers)


def exactly(task: tasks.Task, seeds: range, epochs: int | None) -> list[float]:
    """Errors after training by exact gradients through time: `vle-train` and its own recipe."""
    changes = {} if epochs is None else {"epochs": epochs}
    errors = []
    for seed in seeds:
        trainer = Trainer(task, recipes.default(task.name, seed=seed, **changes))
        for _ in trainer.epochs():
            pass
        errors.append(nrmse(trainer.trained.run(task.x[:, task.test]), task.y[:, task.test]))
    return errors


def persistence(task: tasks.Task) -> float:
    """Error of an answer that is the input."""
    x, y = task.x[:, task.test], task.y[:, task.test]
    return nrmse(np.broadcast_to(x, y.shape), y)
