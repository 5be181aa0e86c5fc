"""MNIST-1D: ten shapes in noise, one value per step, as in the GLE paper."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from vle.sim.tasks.task import Array, Task, split

POINTS = 72  # of a series before it is resampled: a template of 12 and up to 60 of padding
STEPS = 360
DT = 0.2


def load(*, validation: int = 400, split_seed: int = 12345) -> Task:
    """Make the 4000 + 1000 standard samples, 72 units of time in 360 steps of 0.2.

    Parameters
    ----------
    validation : int
        How many of the 4000 training samples are set apart to choose a model by.
    split_seed : int
        Seed of that choice. The test set is the standard one, always.

    Raises
    ------
    ModuleNotFoundError
        If the package `mnist1d`, whose generator defines the data, is not installed.

    References
    ----------
    Greydanus and Kobak 2024, "Scaling down deep learning with MNIST-1D"; settings of
    Ellenberger et al. 2024, "Backpropagation through space, time and the brain".
    """
    x, y, trained_on = _samples()
    train, held_out = split(trained_on, validation, split_seed)
    test = np.arange(trained_on, len(y))
    return Task("mnist1d", x.T[:, :, None], y, DT, train, held_out, test, classes=10)


@cache
def _samples() -> tuple[Array, Array, int]:
    """Return all series (5000, 360), their classes, and the number of training samples."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "task mnist1d needs the package mnist1d: pip install '.[train]' in the folder of vle"
        ) from error
    defaults = get_dataset_args(as_dict=True)  # type: ignore[no-untyped-call]
    arguments = SimpleNamespace(**{**defaults, "final_seq_length": STEPS})
    state = np.random.get_state()  # noqa: NPY002  (the generator seeds the global one)
    try:
        data = make_dataset(arguments)  # type: ignore[no-untyped-call]
    finally:
        np.random.set_state(state)  # noqa: NPY002
    x = np.concatenate([data["x"], data["x_test"]])
    y = np.concatenate([data["y"], data["y_test"]]).astype(np.int64)
    return x, y, len(data["y"])


def interpolation() -> Array:
    """Return the matrix (360, 72) that resamples a series of points linearly onto the steps."""
    position = np.linspace(0, POINTS - 1, STEPS)
    left = np.minimum(position.astype(int), POINTS - 2)
    matrix = np.zeros((STEPS, POINTS))
    matrix[np.arange(STEPS), left] = 1 - (position - left)
    matrix[np.arange(STEPS), left + 1] = position - left
    return matrix


def compact(x: Array) -> Array:
    """Return the points (..., 72) whose linear interpolation is x, shape (..., 360)."""
    solution = np.linalg.lstsq(interpolation(), np.reshape(x, (-1, STEPS)).T, rcond=None)[0]
    return np.reshape(solution.T, (*x.shape[:-1], POINTS))


def expand(points: Array) -> Array:
    """Return the series (..., 360) of points (..., 72), exactly as the generator resamples."""
    return np.asarray(points, dtype=np.float64) @ interpolation().T


def write_samples(path: str | Path, task: Task, index: Array) -> None:
    """Write sequences of the task as a small file: `points` (N, 72) in float32, and `y` (N,)."""
    points = compact(task.x[:, index, 0].T).astype(np.float32)
    np.savez_compressed(path, points=points, y=task.y[index].astype(np.uint8))


def read_samples(path: str | Path) -> tuple[Array, Array]:
    """Read what `write_samples` wrote, as x (360, N, 1) in float64 and classes y (N,)."""
    with np.load(path) as file:
        return expand(file["points"]).T[:, :, None], file["y"].astype(np.int64)
