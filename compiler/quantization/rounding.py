"""Real weights to integers: each to the nearest, or each error made up for by the next ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

DAMPING = 0.01  # of the mean power of the inputs: keeps weights near where data say nothing
SHRINK = (1.0, 0.92, 0.84, 0.76, 0.68)  # scales tried, as parts of the one that clips nothing


class Grid(NamedTuple):
    """Values that the weights of each row can take: `n * scale / 2**shift`, `|n| <= limit`.

    Words that came from a chip also reach `-limit - 1`, where learning clamps them: `whole`.
    """

    scale: Int  # (rows,)
    shift: int
    limit: int
    whole: bool = False

    @classmethod
    def of(cls, target: Float, weight_width: int, scale_width: int) -> Grid:
        """Finest scales that clip no weight, at the finest binary point that holds the largest.

        `target` holds the real weights in raw units of current per raw unit of input, so that
        `weight * scale / 2**shift = target`.

        The shift is negative where the potentials are too fine for weights so large.
        """
        limit, largest_scale = (1 << (weight_width - 1)) - 1, (1 << scale_width) - 1
        largest = float(np.abs(target).max())
        shift = int(np.floor(np.log2(largest_scale * limit / largest))) if largest else 0
        shift = min(shift, 62)
        needed = np.ceil(np.ldexp(np.abs(target).max(axis=1), shift) / limit)
        return cls(np.clip(needed, 1, largest_scale).astype(np.int64), shift, limit)

    @classmethod
    def of_one(cls, largest: float, rows: int, weight_width: int) -> Grid:
        """Finest power of two, the same for all rows, in which a target of `largest` fits."""
        limit = (1 << (weight_width - 1)) - 1
        shift = min(int(np.floor(np.log2(limit / largest))), 62)
        return cls(np.ones(rows, dtype=np.int64), shift, limit)

    @property
    def lowest(self) -> int:
        """The lowest `n`."""
        return -self.limit - self.whole

    @property
    def step(self) -> Float:
        """Distance between neighbouring values, `(rows,)`."""
        return np.ldexp(self.scale.astype(np.float64), -self.shift)

    def rows(self, which: NDArray[np.bool_]) -> Grid:
        """Return the grid of some rows."""
        return self._replace(scale=self.scale[which])

    def shrunk(self, part: float) -> Grid:
        """Return the grid with its scales made smaller."""
        smaller = np.floor(self.scale * part + 0.5).astype(np.int64)
        return self._replace(scale=np.maximum(smaller, 1))


class Rounded(NamedTuple):
    """Integer weights of some rows, their scales, and what is to be added to the bias."""

    weight: Int  # (rows, columns)
    scale: Int  # (rows,)
    bias_shift: Float  # (rows,), in raw units of the current
    clipped: Int  # (rows,), weights that their scale cuts off


def nearest(target: Float, grid: Grid) -> Rounded:
    """Round every weight by itself, halves up."""
    weight = np.floor(target / grid.step[:, None] + 0.5)
    clipped = np.clip(weight, grid.lowest, grid.limit)
    count = np.count_nonzero(clipped != weight, axis=1)
    return Rounded(clipped.astype(np.int64), grid.scale, np.zeros(len(target)), count)


class Moments(NamedTuple):
    """Second moments of raw inputs and a last 1, and what rounding needs of them."""

    matrix: Float  # mean(x x^T), (columns + 1, columns + 1)
    order: NDArray[np.intp]  # in which columns are rounded: the most powerful first
    factor: Float  # upper Cholesky factor of the inverse in that order, put back in place

    @classmethod
    def of(cls, matrix: Float) -> Moments:
        """Factorise a matrix of moments."""
        order = np.argsort(-np.diag(matrix)[:-1], kind="stable")
        return cls(matrix, order, _factor(matrix, order))


def compensated(target: Float, grid: Grid, moments: Moments) -> Rounded:
    """Round column by column, each error made up for by the columns after it, then by the bias.

    The error of a row is `(w' - w) M (w' - w)^T` with `M` the second moments of its inputs and a
    constant 1. Once a column is rounded, the minimum over those not yet rounded moves by
    `-error / C[j, j] * C[j, j+1:]`, with `C` the upper Cholesky factor of the inverse of `M`.

    Parameters
    ----------
    target
        Real weights in units of the grid, `(rows, columns)`.
    grid
        Values that they may take.
    moments
        Over calibration data.

    References
    ----------
    Hassibi and Stork 1992, "Optimal brain surgeon"; Frantar et al. 2022, "GPTQ", arXiv 2210.17323.
    """
    columns = target.shape[1]
    factor, step = moments.factor, grid.step
    left = np.concatenate([target, np.zeros((len(target), 1))], axis=1)
    weight = np.zeros(target.shape, dtype=np.int64)
    clipped = np.zeros(len(target), dtype=np.int64)
    for j in moments.order:
        exact = np.floor(left[:, j] / step + 0.5)
        rounded = np.clip(exact, grid.lowest, grid.limit)
        clipped += exact != rounded
        weight[:, j] = rounded
        error = (left[:, j] - rounded * step) / factor[j, j]
        left -= error[:, None] * factor[j]
    return Rounded(weight, grid.scale, left[:, columns], clipped)


def _factor(moments: Float, order: NDArray[np.intp]) -> Float:
    """Upper Cholesky factor in the order of rounding, the bias last; rows and columns put back."""
    order = np.append(order, len(order))
    damped = moments[np.ix_(order, order)].copy()
    power = np.diag(damped)[:-1].mean()
    damped[np.diag_indices(len(order) - 1)] += DAMPING * (power if power > 0 else 1.0)
    damped[-1, -1] += 1e-9
    unit = 1 / np.sqrt(np.diag(damped))  # raw inputs reach 2**15, the constant is 1
    upper = np.linalg.cholesky(np.linalg.inv(damped * unit[:, None] * unit)).T * unit
    factor = np.zeros_like(upper)
    factor[np.ix_(order, order)] = upper
    return factor


def best_scale(target: Float, grid: Grid, moments: Moments) -> Rounded:
    """Try `SHRINK` parts of each row's scale and keep what leaves the least error on the data."""
    best = compensated(target, grid, moments)
    least = output_error(target, best, grid.shift, moments.matrix)
    for part in SHRINK[1:]:
        tried = compensated(target, grid.shrunk(part), moments)
        error = output_error(target, tried, grid.shift, moments.matrix)
        better = error < least
        least = np.where(better, error, least)
        best = Rounded(
            np.where(better[:, None], tried.weight, best.weight),
            *(np.where(better, new, old) for new, old in zip(tried[1:], best[1:], strict=True)),
        )
    return best


def output_error(target: Float, rounded: Rounded, shift: int, moments: Float) -> Float:
    """Mean squared error of each row's sum on the data, shape `(rows,)`."""
    step = np.ldexp(rounded.scale.astype(np.float64), -shift)
    off = rounded.weight * step[:, None] - target
    off = np.concatenate([off, rounded.bias_shift[:, None]], axis=1)
    return np.asarray(((off @ moments) * off).sum(axis=1))
