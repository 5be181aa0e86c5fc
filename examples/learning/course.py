"""What a network that learns is sent: sequences one after the other, as one stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Course:
    """Frames, targets and flags, step by step.

    Parameters
    ----------
    x
        Shape `(T, inputs)`.
    y
        Values `(T, outputs)`, NaN where a step has no target; or classes `(T,)`, -1 for none.
    start, freeze
        Steps that begin a sequence; that update nothing. Shape `(T,)`.
    """

    x: np.ndarray
    y: np.ndarray
    start: np.ndarray
    freeze: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def part(self, begin: int, end: int) -> Course:
        """Return steps `begin` to `end`."""
        return Course(*(a[begin:end] for a in (self.x, self.y, self.start, self.freeze)))

    def parts(self, count: int) -> list[Course]:
        """Cut into `count` parts of one length; what is over is left out."""
        size = len(self) // count
        if not size:
            raise ValueError(f"a course in {count} parts must be as many steps, not {len(self)}")
        return [self.part(k * size, (k + 1) * size) for k in range(count)]


def values(x: np.ndarray, y: np.ndarray, layers: int) -> Course:
    """One sequence with values to be answered.

    `y[t]` is what output frame `t` should be, and it is compared in step `t + 1`. The first steps
    have no target: upper layers still answer the sequence before.
    """
    late = np.full_like(y, np.nan)
    late[layers:] = y[layers - 1 : -1]
    return Course(x, late, np.arange(len(x)) == 0, np.zeros(len(x), bool))


def classes(x: np.ndarray, label: int, told: np.ndarray, *, freeze: bool) -> Course:
    """One sequence with a class, which is told in some steps; in others it may learn nothing."""
    y = np.where(told, label, -1)
    return Course(x, y, np.arange(len(x)) == 0, ~told & freeze)


def joined(courses: Iterable[Course], steps: int | None = None) -> Course:
    """Put courses one after the other, as many as `steps` need."""
    kept, length = [], 0
    for course in courses:
        if steps is not None and length >= steps:
            break
        kept.append(course)
        length += len(course)
    names = ("x", "y", "start", "freeze")
    whole = Course(*(np.concatenate([getattr(c, name) for c in kept]) for name in names))
    return whole if steps is None else whole.part(0, steps)
