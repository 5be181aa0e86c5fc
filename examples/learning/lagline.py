"""LagLine: two neurons in a row learn the time constants and weights of a teacher.

python examples/learning/lagline.py [--seeds 3] [--steps 240000] [--chip 500]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from course import Course, joined, values
from floats import FloatStudent
from integers import IntegerStudent
from matplotlib.figure import Figure
from program import FLOAT, INTEGER, MUTED, TARGET, Options, Result, program, several

from vle.sim import Layer, Network, tasks

RATE, TAU_MAX, PARTS = 0.02, 12.8, 100
RULES = ("prospective", "filtered")
NAMES = ("tau_m 1", "tau_m 2", "weight 1", "weight 2")


@dataclass(frozen=True)
class Run:
    """Parameters after each part, shape `(parts + 1, 4)`, of the integer model and of float64."""

    rule: str
    integer: np.ndarray
    real: np.ndarray
    student: IntegerStudent

    @property
    def parameters(self) -> np.ndarray:
        """What was learned in the end: the mean of the last tenth, as a weight's last bit moves."""
        return self.integer[-PARTS // 10 :].mean(0)


def untaught(rule: str, seed: int) -> Network:
    """The form of the teacher, with other weights and time constants."""
    rng = np.random.default_rng(seed)
    tau_m = rng.uniform(0.4, 3, 2)
    weights = rng.uniform(0.3, 1.5), rng.uniform(0.5, 3)
    layers = tuple(
        Layer(np.array([[w]]), np.zeros(1), tau, 0.1, phi)
        for w, tau, phi in zip(weights, tau_m, ("tanh", "identity"), strict=True)
    )
    return Network(layers, 0.1, plasticity=rule)


def rate(progress: float) -> float:
    """Constant for a third, then halved again and again, to a 64th."""
    return RATE * 0.5 ** np.clip(np.ceil((progress - 0.35) * 10), 0, 6)


def parameters(network: Network) -> list[float]:
    """Time constants and weights."""
    taus, weights = zip(*((la.tau_m[0], la.weight[0, 0]) for la in network.layers), strict=True)
    return [*taus, *weights]


def learn(options: Options, task: tasks.Task, rule: str, seed: int) -> Run:
    """Teach both models, part by part."""
    rng, start = np.random.default_rng(seed), untaught(rule, seed)
    order = (i for _ in iter(int, 1) for i in rng.permutation(task.train))
    course = joined((values(task.x[:, i], task.y[:, i], 2) for i in order), options.steps)
    integer = IntegerStudent.compiled(
        start,
        task.x[:, task.train],
        time_constants=True,
        tau_max=TAU_MAX,
        weight_range=8.0,
        output_range=8.0,
        **options.keep(seed),
    )
    real = FloatStudent(start, time_constants=True, tau_max=TAU_MAX)
    kept = [[parameters(s.network)] for s in (integer, real)]
    for k, part in enumerate(options.track(f"{rule}, seed {seed}", course.parts(PARTS))):
        for student, history in zip((integer, real), kept, strict=True):
            _taught(student, part, rate(k / PARTS))
            history.append(parameters(student.network))
    return Run(rule, *(np.array(history) for history in kept), integer)


def _taught(student: IntegerStudent | FloatStudent, part: Course, eta: float) -> None:
    student.learn(part, eta, eta)


@program("lagline", steps=240_000)
def main(options: Options) -> Result:
    """Two neurons in a row learn the time constants and weights of a teacher, on the chip."""
    task = tasks.load("lagline")
    truth = np.array(parameters(task.teacher))
    runs = [learn(options, task, rule, seed) for rule in RULES for seed in options.seeds]
    errors = {rule: [r.parameters / truth - 1 for r in runs if r.rule == rule] for rule in RULES}
    worst = {rule: 100 * np.abs(found).max(0) for rule, found in errors.items()}
    figures = {
        "asked": "within 5 %",
        "teacher": dict(zip(NAMES, truth, strict=True)),
        "errors_percent": {rule: 100 * np.array(found) for rule, found in errors.items()},
        "worst_percent": float(max(found.max() for found in worst.values())),
        "float64_errors_percent": {
            rule: [100 * (r.real[-1] / truth - 1) for r in runs if r.rule == rule] for rule in RULES
        },
        "starts": [r.integer[0] for r in runs],
    }
    rows = {f"{rule}: worst of {', '.join(NAMES)}, %": several(worst[rule], 2) for rule in RULES}
    students = {r.rule: r.student for r in runs if r.student.window is not None}
    return Result(
        figures, rows, lambda figure: draw(figure, task, truth, runs, options.steps), students
    )


def draw(figure: Figure, task: tasks.Task, truth: np.ndarray, runs: list[Run], steps: int) -> None:
    """Time constants and weights as they go to the teacher's; answers before and after."""
    grid = figure.add_gridspec(2, 2, height_ratios=(1.4, 1))
    t = np.linspace(0, steps / 1000, PARTS + 1)
    for k, what in enumerate(("time constant $\\tau_m$, seconds", "weight")):
        axes = figure.add_subplot(grid[0, k])
        for run in runs:
            for j in (2 * k, 2 * k + 1):
                axes.plot(t, run.real[:, j], color=FLOAT, linewidth=3, alpha=0.35)
                style = "-" if run.rule == "filtered" else ":"
                axes.plot(t, run.integer[:, j], color=INTEGER, linewidth=1.1, linestyle=style)
        for j in (2 * k, 2 * k + 1):
            axes.axhline(truth[j], color=TARGET, linewidth=0.8, linestyle="--")
            axes.annotate(f"teacher, {NAMES[j]}", (t[-1], truth[j]), (0, 3), ha="right",
                          textcoords="offset points", color=TARGET)  # fmt: skip
        axes.set_xscale("symlog", linthresh=20)
        axes.set(xlabel="thousand steps", title=what)
    for label, style in (
        ("chip's integers, filtered", {"color": INTEGER}),
        ("chip's integers, prospective", {"color": INTEGER, "linestyle": ":"}),
        ("float64", {"color": FLOAT, "linewidth": 3, "alpha": 0.35}),
    ):
        axes.plot([], [], label=label, **style)
    axes.legend(loc="upper right")
    axes = figure.add_subplot(grid[1, :])
    x, y = task.x[:300, task.test[:1]], task.y[:300, task.test[0], 0]
    seconds = 0.1 * np.arange(300)
    before = runs[-1].student.design.reference.run(x)[:, 0, 0]
    axes.plot(seconds, before, color=MUTED, linewidth=1, label="before learning")
    axes.plot(seconds, y, color=TARGET, linewidth=4, alpha=0.2, label="teacher")
    axes.plot(
        seconds, runs[-1].student.run(x)[:, 0, 0], color=INTEGER, linewidth=1.2, label="after"
    )
    axes.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 1.17))
    axes.set(xlabel="seconds", ylabel="answer to a new signal")


if __name__ == "__main__":
    main()
