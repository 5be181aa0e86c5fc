"""Beats of a stream: words, their flags, and when they were handed over."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import TransportError

LAST = 1  # in the flags of a beat; those of TUSER lie above it
START, TARGET, FREEZE = 2, 4, 8  # of an input frame; START also of an output frame
ERROR = 2  # of a target frame: its words are errors


class CBeats(ctypes.Structure):
    """Mirror of `Beats` in harness.cpp."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("flags", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("capacity", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class Beats:
    """Beats of a stream and the clock cycle in which each was handed over.

    Parameters
    ----------
    words
        Raw words.
    flags
        `LAST` with the last word of a frame, and with all of its words what the frame is: `START`
        where it begins a sequence, and so on.
    cycles
        Counted from the opening of the chip.
    """

    words: NDArray[np.int32]
    flags: NDArray[np.uint8]
    cycles: NDArray[np.uint64]

    @classmethod
    def empty(cls, count: int) -> Self:
        """Room for `count` beats."""
        return cls(np.zeros(count, np.int32), np.zeros(count, np.uint8), np.zeros(count, np.uint64))

    @classmethod
    def of_frames(
        cls, frames: ArrayLike, start: ArrayLike | None = None, user: ArrayLike = 0
    ) -> Self:
        """Beats of whole frames, shape `(T, words)`.

        Parameters
        ----------
        frames
            Raw words.
        start
            Whether each begins a sequence, shape `(T,)`.
        user
            Further flags of each, shape `(T,)`.
        """
        raw = np.ascontiguousarray(frames, dtype=np.int32)
        flags = np.zeros(raw.shape, np.uint8)
        flags[:, -1] = LAST
        if start is not None:
            flags[np.asarray(start, dtype=bool)] |= START
        flags |= np.broadcast_to(np.asarray(user, np.uint8), len(raw))[:, None]
        return cls(raw.ravel(), flags.ravel(), np.zeros(raw.size, np.uint64))

    def frames(self, words: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Frames of shape `(T, words)`, and whether each began a sequence.

        Raises
        ------
        TransportError
            Where LAST does not come with every last word and only there.
        """
        last = (self.flags & LAST).astype(bool)
        ends = np.arange(1, last.size + 1) % words == 0
        if last.size % words or not np.array_equal(last, ends):
            raise TransportError(f"the chip sent frames that are not of {words} words")
        start = (self.flags & START).astype(bool).reshape(-1, words)[:, 0]
        return self.words.reshape(-1, words), start

    def view(self) -> CBeats:
        """Return the structure that the harness reads and fills."""
        pointers = (array.ctypes.data for array in (self.words, self.flags, self.cycles))
        return CBeats(*pointers, self.words.size, 0)

    def first(self, count: int) -> Beats:
        """Return the first beats."""
        return Beats(self.words[:count], self.flags[:count], self.cycles[:count])
