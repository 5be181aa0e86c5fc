"""Targets of a user as the words that a chip takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.fixed import Fixed, Raw
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.top import PROBABILITY_BITS

WIDTH = 16  # of a target word, at least


def target_format(net: LearningNetwork) -> Fixed:
    """Format of a target: of the top layer's rates, or of a probability."""
    rate = net.network.layers[-1].rate_format
    if net.loss == "cross_entropy":
        return Fixed(WIDTH - PROBABILITY_BITS, PROBABILITY_BITS)
    width = max(WIDTH, rate.width)
    return Fixed(width - rate.f_bits, rate.f_bits)


@dataclass(frozen=True)
class Targets:
    """What the top layer is told in each step.

    Parameters
    ----------
    words
        Raw, shape `(T, outputs)`; 0 where a step has no target.
    present
        Whether a step has one, shape `(T,)`.
    are_errors
        Whether the words are `-dC/dr` themselves.
    """

    words: Raw
    present: NDArray[np.bool_]
    are_errors: bool = False

    @classmethod
    def none(cls, steps: int, outputs: int) -> Targets:
        """No target in any step."""
        return cls(np.zeros((steps, outputs), np.int64), np.zeros(steps, np.bool_))

    @classmethod
    def of(cls, net: LearningNetwork, y: ArrayLike, steps: int, *, are_errors: bool) -> Targets:
        """Words of targets in real units.

        Parameters
        ----------
        net
            Whose loss and formats.
        y
            Values, probabilities or, where `are_errors`, errors `(T, outputs)`; a step with a NaN
            has none. For cross-entropy also classes `(T,)` as integers, -1 for none.
        steps
            `T`.
        are_errors
            Whether `y` is `-dC/dr` of a loss of the caller's.

        The power of two at which the format ends counts as its last word: 1 for a top of tanh.

        Raises
        ------
        ValueError
            For a wrong shape, a class that is none, and values that are infinite or do not fit.
        """
        array, outputs = real_numbers("y", y), net.network.layers[-1].outputs
        fmt = target_format(net)
        if _are_classes(net, array) and not are_errors:
            return cls._of_classes(array, steps, outputs)
        if array.shape != (steps, outputs):
            raise ValueError(f"y must be of shape ({steps}, {outputs}), not {array.shape}")
        values = array.astype(np.float64)
        present: NDArray[np.bool_] = np.asarray(~np.isnan(values).any(axis=1))
        values = np.where(present[:, None], values, 0.0)
        words = np.floor(np.ldexp(values, fmt.f_bits) + 0.5)
        if (words < fmt.low).any() or (words > fmt.high + 1).any():
            low, high = float(fmt.real(fmt.low)), float(fmt.real(fmt.high + 1))
            raise ValueError(f"y must be within {low:g}..{high:g}, or NaN for no target")
        if net.loss == "cross_entropy" and not are_errors:
            sums = values[present].sum(axis=1)
            if (values < 0).any() or not np.allclose(sums, 1, atol=1e-3):
                raise ValueError("y must be probabilities that sum to 1")
        return cls(fmt.quantize(values), present, are_errors)

    @classmethod
    def _of_classes(cls, classes: NDArray[np.int64], steps: int, outputs: int) -> Targets:
        if classes.shape != (steps,):
            raise ValueError(f"y must be of shape ({steps},), not {classes.shape}")
        if classes.size and not -1 <= classes.min() <= classes.max() < outputs:
            raise ValueError(
                f"classes must be -1 or 0 to {outputs - 1}, not {classes.min()} to {classes.max()}"
            )
        words = (classes[:, None] == np.arange(outputs)).astype(np.int64) << PROBABILITY_BITS
        return cls(words, classes >= 0)


def real_numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return an array of real numbers, of any kind.

    Raises
    ------
    ValueError
        For rows of different lengths, and what are no real numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, not rows of different lengths") from None
    if array.dtype.kind not in "iufb":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}")
    return array


def _are_classes(net: LearningNetwork, array: NDArray[Any]) -> bool:
    return net.loss == "cross_entropy" and array.dtype.kind in "iu" and array.ndim == 1
