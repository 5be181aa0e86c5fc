"""LagLine and LagNet: a student learns the weights and time constants of a teacher."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vle.sim.activations import Activation
from vle.sim.network import Layer, Network
from vle.sim.tasks.task import Array, Task

DT = 0.1


def load_lagline(*, count: int = 32, steps: int = 600, seed: int = 0) -> Task:
    """Make a chain of two neurons the teacher: every signal passes two lags in a row.

    Teacher: weights 1 and 2, `tau_m` 1 and 2, `tau_r` 0.1, tanh and a linear output. The
    student has the same form, and the data determine its time constants.

    References
    ----------
    Ellenberger et al. 2024, "Backpropagation through space, time and the brain", section on
    chained neurons; the input here is a sum of sines of its own.
    """
    layers = (
        Layer(np.array([[1.0]]), np.zeros(1), np.array([1.0]), np.array([DT]), Activation("tanh")),
        Layer(
            np.array([[2.0]]), np.zeros(1), np.array([2.0]), np.array([DT]), Activation("identity")
        ),
    )
    return _teacher_student("lagline", Network(layers, DT), count, steps, seed)


def load_lagnet(*, count: int = 64, steps: int = 600, seed: int = 0) -> Task:
    """Make a network 2-8-8-2 with time constants of 0.2 to 2 the teacher."""
    rng = np.random.default_rng(seed + 1000)
    widths = (2, 8, 8, 2)
    layers: list[Layer] = []
    for below, width in pairwise(widths):
        weight = rng.normal(0, 1.5 / np.sqrt(below), (width, below))
        tau_m = np.exp(rng.uniform(np.log(2 * DT), np.log(20 * DT), width))
        activation = Activation("tanh" if len(layers) < len(widths) - 2 else "identity")
        bias = rng.normal(0, 0.2, width)
        layers.append(Layer(weight, bias, tau_m, np.full(width, 2 * DT), activation))
    return _teacher_student("lagnet", Network(tuple(layers), DT), count, steps, seed)


def smooth_noise(count: int, steps: int, channels: int, seed: int) -> Array:
    """Return sums of 12 sines, shape (steps, count, channels), of mean 0 and power 1.

    Angular frequencies are log-uniform in 0.1 to 3, so slow against a step of 0.1, as learning
    by errors that come `2 L dt` late assumes.
    """
    rng = np.random.default_rng(seed)
    shape = (12, 1, count, channels)
    omega = np.exp(rng.uniform(np.log(0.1), np.log(3.0), shape))
    phase = rng.uniform(0, 2 * np.pi, shape)
    time = DT * np.arange(steps)[None, :, None, None]
    return np.asarray(np.sin(omega * time + phase).sum(0) * np.sqrt(2 / 12))


def _teacher_student(name: str, teacher: Network, count: int, steps: int, seed: int) -> Task:
    x = smooth_noise(count, steps, teacher.inputs, seed)
    y = teacher.run(x)
    test, validation = count // 4, count // 8
    train = np.arange(count - test - validation)
    held_out = np.arange(len(train), count - test)
    return Task(name, x, y, DT, train, held_out, np.arange(count - test, count), teacher=teacher)
