"""Transformations of MNIST-1D training samples: shear, shift, dilate, scale, add noise.

Only given samples are transformed; the generator's templates are not used. A sample's own shear is
first estimated as a robust line, since a circular shift of a sheared series would tear it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vle.sim.tasks import Task
from vle.sim.tasks.mnist1d import POINTS, compact, interpolation

Array = Any
Augmentation = Callable[[Array, Array], Array]  # (key, numbers of sequences) -> x (T, n, inputs)

SHIFT = 24.0  # points, to either side
DILATION = 0.12  # of the logarithm
SCALE = 0.12
NOISE = 0.05
SHEAR = 2.75  # largest slope over the whole series, after a random re-shearing

_LINE = np.linspace(-0.5, 0.5, POINTS)


def for_task(task: Task) -> Augmentation | None:
    """Return the task's augmentation; None where it has none."""
    return mnist1d(task) if task.name == "mnist1d" else None


def mnist1d(task: Task) -> Augmentation:
    """Return a function that draws fresh transformations of training sequences of the task."""
    points = compact(task.x[:, task.train, 0].T)
    upright = np.zeros((task.count, POINTS), np.float32)  # zeros but for training sequences
    upright[task.train] = points - slopes(points)[:, None] * _LINE
    series = jnp.asarray(upright)
    matrix = jnp.asarray(interpolation(), jnp.float32)

    def draw(key: Array, index: Array) -> Array:
        return (_transform(key, series[index]) @ matrix.T).T[:, :, None]

    return draw


def slopes(points: Array, rounds: int = 30) -> Array:
    """Return the slope of each series (n, 72) by least absolute deviations (reweighted squares)."""
    basis = np.stack([_LINE, np.ones(POINTS)], axis=1)
    weight = np.ones(points.shape)
    for _ in range(rounds):
        normal = np.einsum("np,pi,pj->nij", weight, basis, basis)
        moment = np.einsum("np,pi,np->ni", weight, basis, points)
        line = np.linalg.solve(normal, moment[..., None])[..., 0]
        weight = 1 / np.maximum(np.abs(points - line @ basis.T), 0.05)
    return line[:, 0]


def _transform(key: Array, x: Array) -> Array:
    keys = jax.random.split(key, 5)
    count = x.shape[0]

    def uniform(key: Array, span: float) -> Array:
        return jax.random.uniform(key, (count, 1), jnp.float32, -span, span)

    centre = (POINTS - 1) / 2
    steps = jnp.arange(POINTS, dtype=jnp.float32)
    position = (steps - centre) * jnp.exp(uniform(keys[0], DILATION)) + centre
    x = _sample(x, position + uniform(keys[1], SHIFT))
    x = x * (1 + uniform(keys[2], SCALE))
    x = x + NOISE * jax.random.normal(keys[3], x.shape, jnp.float32)
    return x + uniform(keys[4], SHEAR) * jnp.asarray(_LINE, jnp.float32)


def _sample(x: Array, position: Array) -> Array:
    """Read circular series at fractional positions."""
    whole = jnp.floor(position)
    part = position - whole
    left = whole.astype(jnp.int32) % POINTS
    low = jnp.take_along_axis(x, left, axis=1)
    high = jnp.take_along_axis(x, (left + 1) % POINTS, axis=1)
    return low * (1 - part) + high * part
