"""Mackey-Glass: predict a chaotic series some time ahead."""

from __future__ import annotations

import numpy as np

from vle.sim.tasks.task import Array, Task

DT = 1.0


def load(
    *,
    count: int = 64,
    steps: int = 400,
    horizon: int = 6,
    delay: float = 17.0,
    seed: int = 0,
) -> Task:
    """Make sequences of the series and their future `horizon` steps later.

    Every sequence has an initial history of its own; its first 200 units of time are left out.
    One step is one unit of the series' time. Values are centred and scaled by fixed constants
    (mean 0.93, deviation 0.23), so no split knows of another.
    """
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.6, 1.2, count)
    series = (integrate(start, steps + horizon + 200, delay=delay)[200:] - 0.93) / 0.23
    x, y = series[:steps, :, None], series[horizon : steps + horizon, :, None]
    test, validation = count // 4, count // 8
    train = np.arange(count - test - validation)
    return Task(
        "mackey_glass",
        x,
        y,
        DT,
        train,
        np.arange(len(train), count - test),
        np.arange(count - test, count),
    )


def integrate(start: Array, steps: int, *, delay: float = 17.0, substeps: int = 20) -> Array:
    """Integrate dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x from a constant history.

    Heun's method with `substeps` per unit of time: of second order, and it needs the delayed
    value at grid points only.

    Parameters
    ----------
    start : ndarray, shape (N,)
        Constant history of each sequence.
    steps : int
        Units of time.
    delay : float
        In units of time, a multiple of 1 / substeps.

    Returns
    -------
    ndarray, shape (steps, N)
        The series at times 1, 2, ... steps.

    Raises
    ------
    ValueError
        If the delay is no positive multiple of 1 / substeps.

    References
    ----------
    Mackey and Glass 1977, "Oscillation and chaos in physiological control systems".
    """
    lag = round(delay * substeps)
    if lag < 1 or abs(lag - delay * substeps) > 1e-9:
        raise ValueError(f"delay must be a positive multiple of {1 / substeps}, not {delay!r}")
    h = 1 / substeps
    x = np.empty((lag + 1 + steps * substeps, len(start)))
    x[: lag + 1] = start
    for k in range(lag, len(x) - 1):
        slope = _slope(x[k], x[k - lag])
        x[k + 1] = x[k] + h / 2 * (slope + _slope(x[k] + h * slope, x[k + 1 - lag]))
    return x[lag + substeps :: substeps]


def _slope(x: Array, delayed: Array) -> Array:
    return np.asarray(0.2 * delayed / (1 + delayed**10) - 0.1 * x)
