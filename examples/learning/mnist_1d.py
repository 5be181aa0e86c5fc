"""MNIST-1D from scratch on the chip: one value per step, one sample after the other.

    python examples/learning/mnist_1d.py [--seeds 1] [--steps 8640000] [--chip 500]

A recurrent network of 100. What was learned is saved, run in onnxruntime, and compiled again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from adam import Adam
from course import Course, classes, joined
from integers import IntegerStudent
from matplotlib.figure import Figure
from networks import network
from program import FLOAT, INTEGER, TARGET, Options, Result, cosine, program, several

from vle.compiler import compile_model
from vle.sim import Network, tasks

STRIDE = 3  # every third value is heard: 120 steps
STEPS = 120
TOLD = 40  # last steps, in which the class is told and the network learns
PARTS = 20
TAU = np.repeat([3.0, 6.0, 15.0, 40.0], 25)  # in steps
RATE, ADAM_RATE = 0.001, 5e-4
ADAM_PARTS, BATCH = 20, 100


@dataclass(frozen=True)
class Run:
    """Accuracies in percent: on the validation split after each part, on the test split at last."""

    seed: int
    curve: list[float]
    test: float
    adam_curve: list[float]
    adam_test: float
    student: IntegerStudent


def untaught(seed: int, dt: float) -> Network:
    """1-100-10, the hidden layer recurrent, with time constants of 3 to 40 steps."""
    return network(
        [1, 100, 10],
        [(TAU * dt, dt), (dt, dt)],
        dt,
        loss="cross_entropy",
        seed=seed,
        recurrent=0.8,
    )


def thinned() -> tasks.Task:
    """Every third value of the samples."""
    task = tasks.load("mnist1d")
    return replace(task, x=task.x[::STRIDE], dt=STRIDE * task.dt, asked=TOLD)


def course(task: tasks.Task, index: np.ndarray) -> Course:
    """Samples one after the other."""
    told = np.arange(STEPS) >= STEPS - TOLD
    return joined(classes(task.x[:, i], task.y[i], told, freeze=True) for i in index)


def right(student: Any, task: tasks.Task, index: np.ndarray) -> float:
    """Samples answered rightly, in percent, each from reset and nothing learned."""
    answer = student.run(task.x[:, index])[-TOLD:].sum(0).argmax(1)
    return 100 * float((answer == task.y[index]).mean())


def learn(options: Options, task: tasks.Task, seed: int) -> Run:
    """Teach the integer model; beside it float32 with Adam and batches."""
    rng, count = np.random.default_rng(seed), options.steps // STEPS
    chosen, asked = (index[: max(20, count // 4)] for index in (task.validation, task.test))
    epochs = -(-count // len(task.train))
    order = np.concatenate([rng.permutation(task.train) for _ in range(epochs)])[:count]
    start = untaught(seed, task.dt)
    student = IntegerStudent.compiled(
        start,
        task.x[:, task.train[:100]],
        weight_range=4.0,
        output_range=32.0,
        **options.keep(seed),
    )
    curve, adam_curve = [right(student, task, chosen)], []
    parts = np.array_split(order, min(PARTS, count))
    for k, part in enumerate(options.track(f"chip's integers, seed {seed}", parts)):
        student.learn(course(task, part), RATE * cosine(k / len(parts)))
        curve.append(right(student, task, chosen))
    adam = Adam(start, ADAM_RATE)
    batches = [order[k : k + BATCH] for k in range(0, count - BATCH + 1, BATCH)]
    adam_curve = [right(adam, task, chosen)]
    for k, batch in enumerate(options.track(f"float Adam, seed {seed}", batches)):
        adam.learn(task.x[:, batch], task.targets(batch), k / len(batches))
        if (k + 1) * ADAM_PARTS // len(batches) > k * ADAM_PARTS // len(batches):
            adam_curve.append(right(adam, task, chosen))
    tests = [right(s, task, asked) for s in (student, adam)]
    return Run(seed, curve, tests[0], adam_curve, tests[1], student)


def read_back(student: IntegerStudent, x: np.ndarray, path: Path) -> dict[str, Any]:
    """Save what was learned, run the file in onnxruntime, compile it again, lay them together."""
    import onnxruntime  # noqa: PLC0415 - for this alone

    student.design.restore(student.session.state)
    student.design.export(path)
    own = student.run(x)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name, first = session.get_inputs()[0].name, x[:, :20]
    there = session.run(None, {name: first.astype(np.float32)})[0]
    again = compile_model(path, calibration=x)
    words = again.network.layers
    same = [np.array_equal(a.weight, s.weight) and np.array_equal(a.bias, s.bias)
            for a, s in zip(words, student.session.state.learning, strict=True)]  # fmt: skip
    return {
        "onnxruntime_largest_difference": float(np.abs(there - own[:, :20]).max()),
        "onnxruntime_rms_difference": float(np.sqrt(((there - own[:, :20]) ** 2).mean())),
        "output_word": float(student.design.output_format.step),
        "same_class": float((_class(there) == _class(own[:, :20])).mean()),
        "recompiled_layers_equal": same,
        "recompiled_answers_differing": int(np.count_nonzero(again.run(x) != own)),
        "answers_compared": own.size,
    }


def _class(output: np.ndarray) -> np.ndarray:
    return output[-TOLD:].sum(0).argmax(1)


@program("mnist1d", steps=20 * 3600 * STEPS, least=100 * STEPS)
def main(options: Options) -> Result:
    """Ten shapes in noise, from scratch on the chip, and what it learned read back."""
    task = thinned()
    runs = [learn(options, task, seed) for seed in options.seeds]
    options.out.mkdir(parents=True, exist_ok=True)
    back = read_back(
        runs[0].student, task.x[:, task.test[:100]], options.out / "mnist1d_learned.onnx"
    )
    figures: dict[str, Any] = {
        "asked": "as much above 75 % as it can",
        "samples": options.steps // STEPS,
        "test_percent": [r.test for r in runs],
        "adam_test_percent": [r.adam_test for r in runs],
        "validation_percent": [r.curve[-1] for r in runs],
        "words_clamped": [r.student.clamped for r in runs],
        "curves": [[r.curve, r.adam_curve] for r in runs],
        "read_back": back,
    }
    rows = {
        "test, chip's integers, %": several(figures["test_percent"], 1),
        "test, float Adam, %": several(figures["adam_test_percent"], 1),
        "onnxruntime, largest difference": f"{back['onnxruntime_largest_difference']:.4f}",
        "compiled again, answers that differ": f"{back['recompiled_answers_differing']} of "
        f"{back['answers_compared']}",
    }
    samples, students = options.steps // STEPS, {"mnist1d": runs[0].student}
    return Result(figures, rows, lambda figure: draw(figure, task, runs, samples), students)


def draw(figure: Figure, task: tasks.Task, runs: list[Run], samples: int) -> None:
    """Curves, and samples with the answers to them as they come in."""
    grid = figure.add_gridspec(3, 5, height_ratios=(2.2, 0.8, 1))
    axes = figure.add_subplot(grid[0, :])
    for run in runs:
        first = run is runs[0]
        for curve, color, label in (
            (run.adam_curve, FLOAT, "float Adam"),
            (run.curve, INTEGER, "chip's integers, plain descent"),
        ):
            thousands = np.linspace(0, samples / 1000, len(curve))
            axes.plot(thousands, curve, color=color, label=label if first else None)
    axes.axhline(10, color=TARGET, linewidth=0.8, linestyle=":")
    axes.set(title="right of the validation split, %", xlabel="thousand samples", ylim=(0, 101))
    axes.legend(loc="upper left")
    student, index = runs[0].student, task.test[:5]
    answer = student.run(task.x[:, index])
    for k, i in enumerate(index):
        above, below = (figure.add_subplot(grid[row, k]) for row in (1, 2))
        above.plot(task.x[:, i, 0], color=TARGET, linewidth=1)
        above.set(title=f"a {task.y[i]}", xticks=(), yticks=())
        chance = np.exp(answer[:, k] - answer[:, k].max(1, keepdims=True))
        chance = chance / chance.sum(1, keepdims=True)
        below.imshow(chance.T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
        below.set_yticks(range(0, 10, 3) if k == 0 else ())
        below.set(ylabel="class" if k == 0 else "", xlabel="step", ylim=(9.5, -0.5))


if __name__ == "__main__":
    main()
