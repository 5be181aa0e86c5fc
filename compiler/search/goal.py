"""What a user asks for instead of bit widths."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import CompileError

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Goal:
    """How good a network on a chip shall be, or how large it may be; the compiler finds the widths.

    Quality alone makes it as small as the goal allows, a budget alone as good as it allows; with
    both, as small as the quality allows, and refused where that is not within the budget.

    Parameters
    ----------
    max_error
        Of the outputs on the calibration data: rms of what differs from the float network's, as a
        part of their rms; above 0.
    target_accuracy
        Part of the labels that the largest output shall hit, 0..1; with `labels`.
    labels
        Classes of the calibration data, ``(batch,)`` for outputs summed over a sequence, or one per
        frame, ``(T,)`` or ``(T, batch)``; below 0: none.
    max_memory
        Bits of all memories.
    mean_bits
        Bits per weight on the average.
    fit
        Whether to be as good as the board allows; with a board.

    Raises
    ------
    ValueError
        For a goal that asks for nothing, or for what no network reaches.
    """

    max_error: float | None = None
    target_accuracy: float | None = None
    labels: ArrayLike | None = field(default=None, repr=False, compare=False)
    max_memory: int | None = None
    mean_bits: float | None = None
    fit: bool = False

    def __post_init__(self) -> None:
        if not (self.quality or self.budgets):
            raise ValueError("goal must ask for a quality or set a budget")
        for name, low, high in (
            ("max_error", 0.0, np.inf),
            ("target_accuracy", 0.0, 1.0),
            ("max_memory", 0, np.inf),
            ("mean_bits", 2.0, np.inf),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if not (low <= value <= high and value):
                raise ValueError(f"{name} must be {_rule(low, high)}, not {value!r}")
        if self.max_error is not None and self.target_accuracy is not None:
            raise ValueError("goal must be max_error or target_accuracy, not both")
        if (self.target_accuracy is None) != (self.labels is None):
            raise ValueError("target_accuracy and labels must be given together")

    @property
    def quality(self) -> bool:
        """Whether it says how good the outputs shall be."""
        return self.max_error is not None or self.target_accuracy is not None

    @property
    def budgets(self) -> bool:
        """Whether it says how large the chip may be."""
        return self.fit or self.max_memory is not None or self.mean_bits is not None

    @property
    def asked(self) -> str:
        """In words, for messages."""
        parts = (
            ("error", self.max_error, "at most {:g}"),
            ("accuracy", self.target_accuracy, "at least {:g}"),
            ("memory", self.max_memory, "at most {:,} bits"),
            ("weights", self.mean_bits, "at most {:g} bits on the average"),
        )
        said = [f"{what} {text.format(value)}" for what, value, text in parts if value is not None]
        return ", ".join([*said, *["a board to fit"] * self.fit])


def checked_labels(labels: ArrayLike, frames: tuple[int, ...], outputs: int) -> Int:
    """Return labels as integers, `(batch,)` per sequence or `(T, batch)` per frame.

    Parameters
    ----------
    labels
        As of `Goal`.
    frames
        Shape of the calibration data, `(T,)` or `(T, batch)`, their inputs left out.
    outputs
        Classes that there are.

    Raises
    ------
    CompileError
        For labels that are none.
    """
    array = np.asarray(labels)
    if outputs < 2:
        raise CompileError("labels must be for a network of two outputs or more")
    wanted = [frames] if len(frames) == 1 else [frames[1:], frames]
    if array.shape not in wanted:
        raise CompileError(
            f"labels must be of shape {' or '.join(map(str, wanted))}, not {array.shape}"
        )
    if array.dtype.kind not in "iufb" or not np.all(array == np.floor(array)):
        raise CompileError(f"labels must be whole numbers, not {array.dtype}")
    if array.max() >= outputs or array.max() < 0:
        raise CompileError(f"labels must be within 0..{outputs - 1}, not up to {array.max()}")
    found = array.astype(np.int64)
    return found[:, None] if len(frames) == 1 else found


def _rule(low: float, high: float) -> str:
    """Say between which numbers a value must be."""
    if np.isinf(high):
        return f"{low:g} or more" if low else "above 0"
    return f"above {low:g} and at most {high:g}"
