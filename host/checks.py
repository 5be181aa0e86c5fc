"""What a caller gives, checked: arrays of finite numbers, arrays of integers, counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def integers(what: str, words: ArrayLike, limits: tuple[int, int]) -> NDArray[np.int64]:
    """Return words as an array of integers.

    Raises
    ------
    ValueError
        Where they are not integers, or one is beyond the limits.
    """
    (low, high), raw = limits, array(what, words)
    if raw.dtype.kind not in "iu" or (raw.size and not low <= raw.min() <= raw.max() <= high):
        raise ValueError(f"{what} must be integers in {low}..{high}")
    return raw.astype(np.int64)


def integer(what: str, value: int, limits: tuple[int, int]) -> int:
    """Return a whole number.

    Raises
    ------
    ValueError
        Where it is none, or beyond the limits.
    """
    (low, high), found = limits, np.asarray(value)
    if found.shape or found.dtype.kind not in "iu" or not low <= found <= high:
        raise ValueError(f"{what} must be a whole number in {low}..{high}, not {value!r:.60}")
    return int(found)


def numbers(what: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return values as an array of floats, which may be NaN.

    Raises
    ------
    ValueError
        Where they are not real numbers.
    """
    found = array(what, values)
    if found.dtype.kind not in "iufb":
        raise ValueError(f"{what} must be real numbers, not {found.dtype}")
    return found.astype(np.float64)


def finite(what: str, values: ArrayLike) -> NDArray[np.float64]:
    """As `numbers`, and none of them NaN or infinite."""
    found = numbers(what, values)
    if not np.isfinite(found).all():
        raise ValueError(f"{what} must be finite, not NaN or infinite")
    return found


def seconds(what: str, value: float) -> float:
    """Return a time that something may take.

    Raises
    ------
    ValueError
        Where it is no number from 0 on.
    """
    found = finite(what, value)
    if found.shape or found < 0:
        raise ValueError(f"{what} must be seconds, 0 or more, not {value!r:.60}")
    return float(found)


def array(what: str, values: ArrayLike) -> NDArray[Any]:
    """Return values as an array of any kind.

    Raises
    ------
    ValueError
        Where they are of different lengths.
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{what} must be an array, not rows of different lengths") from None


def instance(what: str, value: object, kind: type) -> None:
    """Refuse a value of another type.

    Raises
    ------
    TypeError
        Where it is one.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {_article(kind.__name__)}, not {value!r:.60}")


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
