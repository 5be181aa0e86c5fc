"""A data set: sequences, what they should become, and which of them may be looked at when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vle.sim import Network

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Task:
    """Sequences with targets and a fixed split into training, validation and test.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    x : ndarray, shape (T, N, inputs)
        Input, padded with zeros behind a sequence's end.
    y : ndarray, shape (N,) of classes, or (T, N, outputs) of values
        Target; NaN where a step has none.
    dt : float
        Length of a step, in the task's unit of time, above 0.
    train, validation, test : ndarray of int
        Numbers of the sequences in each split; no sequence is in two of them.
    classes : int
        Number of classes, 0 for regression.
    lengths : ndarray of int, shape (N,), optional
        Steps of each sequence, default T.
    teacher : Network, optional
        The network that made the targets.
    asked : int, optional
        Classes: the last steps of a sequence, in which alone it is answered; default 0: in all.
    """

    name: str
    x: Array
    y: Array
    dt: float
    train: Array
    validation: Array
    test: Array
    classes: int = 0
    lengths: Array | None = field(default=None)
    teacher: Network | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        """Check shapes, ranges and that the splits do not overlap."""
        if self.x.ndim != 3:
            raise ValueError(f"x must be of shape (T, N, inputs), not {self.x.shape!r}")
        if not self.dt > 0:
            raise ValueError(f"dt must be above 0, not {self.dt!r}")
        if not 0 <= self.asked <= self.steps * bool(self.classes):
            rule = f"0 to {self.steps}, and 0 where the targets are values"
            raise ValueError(f"asked must be {rule}, not {self.asked!r}")
        expected = (self.count,) if self.classes else (self.steps, self.count, self.y.shape[-1])
        if self.y.shape != expected:
            raise ValueError(f"y must be of shape {expected}, not {self.y.shape!r}")
        used = np.concatenate([self.train, self.validation, self.test])
        if len(np.unique(used)) != len(used) or used.min() < 0 or used.max() >= self.count:
            raise ValueError("the splits must be disjoint and name sequences of x, not overlap")

    @property
    def steps(self) -> int:
        """Steps T of the longest sequence."""
        return int(self.x.shape[0])

    @property
    def count(self) -> int:
        """Number N of sequences, all splits together."""
        return int(self.x.shape[1])

    @property
    def inputs(self) -> int:
        """Values per input frame."""
        return int(self.x.shape[2])

    @property
    def outputs(self) -> int:
        """Values per output frame."""
        return self.classes or int(self.y.shape[2])

    def mask(self, index: Array) -> Array:
        """Return 1 where a step of a sequence is to be answered, else 0, shape (T, n)."""
        lengths = np.full(self.count, self.steps) if self.lengths is None else self.lengths
        step, end = np.arange(self.steps)[:, None], lengths[index]
        return ((step < end) & (step >= end - (self.asked or self.steps))).astype(float)

    def targets(self, index: Array) -> Array:
        """Return targets per step, shape (T, n, outputs): one-hot for classes, NaN for none."""
        if not self.classes:
            return np.asarray(self.y[:, index])
        onehot = np.broadcast_to(
            np.eye(self.classes)[self.y[index]], (self.steps, len(index), self.classes)
        )
        return np.where(self.mask(index)[..., None] > 0, onehot, np.nan)


def split(count: int, validation: int, seed: int) -> tuple[Array, Array]:
    """Return the numbers 0 to count - 1 shuffled, as (training, validation)."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[validation:]), np.sort(order[:validation])
