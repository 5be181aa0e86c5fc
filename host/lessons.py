"""From signals and targets of a user to what a chip that learns is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.host.bundle import Bundle
from vle.host.checks import array, numbers
from vle.host.shapes import NetworkLearning
from vle.host.transport import Lesson


@dataclass(frozen=True)
class Targets:
    """What the outputs are told in each step.

    Parameters
    ----------
    words
        Raw, shape `(T, outputs)`; those of a step without a target do not count.
    present
        Whether a step has a target, shape `(T,)`.
    are_errors
        Whether the words are `-dC/dr` themselves.
    """

    words: NDArray[np.int64]
    present: NDArray[np.bool_]
    are_errors: bool = False

    @classmethod
    def of(
        cls, bundle: Bundle, learning: NetworkLearning, y: ArrayLike, *, are_errors: bool
    ) -> Self:
        """Words of targets in real units; `y` as `vle.host.device.Device.learn` takes it.

        Raises
        ------
        ValueError
            For a wrong shape, a class that is none, and values that are infinite or do not fit.
        """
        given, outputs = array("y", y), bundle.outputs
        classes = learning.loss == "cross_entropy" and given.dtype.kind in "iu" and given.ndim == 1
        if classes and not are_errors:
            return cls._of_classes(given.astype(np.int64), outputs, learning.target.f_bits)
        values = numbers("y", given)
        if values.ndim != 2 or values.shape[1] != outputs:
            also = " or classes (T,)" * (learning.loss == "cross_entropy" and not are_errors)
            raise ValueError(f"y must be of shape (T, {outputs}){also}, not {values.shape}")
        present = np.asarray(~np.isnan(values).any(axis=1))
        values = np.where(present[:, None], values, 0.0)
        words, _ = learning.target.quantize(values)
        (lowest, highest), f_bits = learning.target.limits, learning.target.f_bits
        exact = np.floor(np.ldexp(values, f_bits) + 0.5)
        if (exact < lowest).any() or (exact > highest + 1).any():  # 1 is the last word below it
            low, high = learning.target.real(np.array([lowest, highest + 1]))
            raise ValueError(f"y must be within {low:g}..{high:g}, or NaN for no target")
        if learning.loss == "cross_entropy" and not are_errors:
            sums = values[present].sum(axis=1)
            if (values < 0).any() or not np.allclose(sums, 1, atol=1e-3):
                raise ValueError("y must be probabilities that sum to 1")
        return cls(words, present, are_errors)

    @classmethod
    def _of_classes(cls, classes: NDArray[np.int64], outputs: int, f_bits: int) -> Self:
        if classes.size and not -1 <= classes.min() <= classes.max() < outputs:
            raise ValueError(
                f"classes must be -1 or 0 to {outputs - 1}, not {classes.min()} to {classes.max()}"
            )
        hot = classes[:, None] == np.arange(outputs)
        return cls(hot.astype(np.int64) << f_bits, classes >= 0)


def frozen(freeze: ArrayLike | None, steps: int) -> NDArray[np.bool_]:
    """Return which steps update nothing.

    Raises
    ------
    ValueError
        For anything but booleans, one or one for each step.
    """
    given = array("freeze", False if freeze is None else freeze)
    if given.dtype != np.bool_ or given.shape not in ((), (steps,)):
        raise ValueError(f"freeze must be booleans of shape ({steps},), not {given.shape}")
    return np.broadcast_to(given, (steps,))


def lesson(
    frames: NDArray[np.int64], targets: Targets, freeze: NDArray[np.bool_], *, begins: bool
) -> Lesson:
    """Put frames and targets of one sequence together; the first frame may begin it."""
    start = (np.arange(len(frames)) == 0) & begins
    told = targets.words[targets.present].astype(np.int32)
    is_error = np.full(len(told), targets.are_errors)
    return Lesson(frames.astype(np.int32), start, freeze, targets.present, told, is_error)


def silent(frames: NDArray[np.int64], outputs: int, *, begins: bool) -> Lesson:
    """Frames without targets, that update nothing."""
    none = Targets(np.zeros((len(frames), outputs), np.int64), np.zeros(len(frames), np.bool_))
    return lesson(frames, none, np.ones(len(frames), np.bool_), begins=begins)


def delayed(given: Lesson, steps: int) -> Lesson:
    """Let targets wait for the answers to their frames; frames of zeros follow.

    What is frozen is the update by a target, which waits as it does; before the first one nothing
    is updated.
    """
    more = np.zeros(steps, np.bool_)
    rest = np.zeros((steps, given.frames.shape[1]), np.int32)
    return replace(
        given,
        frames=np.concatenate([given.frames, rest]),
        start=np.concatenate([given.start, more]),
        freeze=np.concatenate([~more, given.freeze]),
        has_target=np.concatenate([more, given.has_target]),
    )


def held(given: Lesson, times: int) -> Lesson:
    """Repeat each frame and its target; all but the last of them update nothing."""
    place = np.arange(len(given.frames) * times) % times
    return Lesson(
        given.frames.repeat(times, axis=0),
        given.start.repeat(times) & (place == 0),
        given.freeze.repeat(times) | (place != times - 1),
        given.has_target.repeat(times),
        given.targets.repeat(times, axis=0),
        given.is_error.repeat(times),
    )
