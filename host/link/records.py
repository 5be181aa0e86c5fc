"""Words as bytes: records of steps into payloads, payloads of output frames back into words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vle.host.bundle import Bundle
from vle.host.transport import Lesson

START, TARGET, FREEZE, ERROR = 1, 2, 4, 8  # flags of a step


@dataclass(frozen=True)
class WordBytes:
    """Bytes of a word of an input, of an output, and of a target.

    Parameters
    ----------
    x, output, target
        1 to 4.
    """

    x: int
    output: int
    target: int

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Read them from the formats of a bundle."""
        rate = bundle.layers[-1].rate.width
        widths = bundle.layers[0].x.width, rate, max(16, rate)
        return cls(*(-(-width // 8) for width in widths))


def payloads(lesson: Lesson, size: WordBytes, most: int) -> Iterator[bytes]:
    """Return payloads of at most `most` bytes with the records of all steps.

    Steps with the same flags go on from one payload to the next; others begin a new one.
    """
    flags = START * lesson.start + FREEZE * lesson.freeze + TARGET * lesson.has_target
    flags[lesson.has_target] += ERROR * lesson.is_error
    x, target = _bytes(lesson.frames, size.x), _bytes(lesson.targets, size.target)
    ends = [*(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)] if len(flags) else []
    begin = told = 0
    for end in ends:
        records = x[begin:end]
        if lesson.has_target[begin]:
            records = np.concatenate([target[told : told + end - begin], records], axis=1)
            told += end - begin
        head, data = bytes((int(flags[begin]),)), records.tobytes()
        for at in range(0, len(data), most - 1):
            yield head + data[at : at + most - 1]
        begin = end


def _bytes(words: NDArray[np.int32], size: int) -> NDArray[np.uint8]:
    """Return the lowest bytes of words, `(T, words)` to `(T, words * size)`."""
    split = np.ascontiguousarray(words, "<i4").view(np.uint8).reshape(*words.shape, 4)
    return split[..., :size].reshape(len(words), words.shape[1] * size)


def words_of(data: bytes | bytearray, size: int) -> NDArray[np.int32]:
    """Return the words, sign-extended, that bytes hold."""
    split = np.frombuffer(bytes(data), np.uint8).reshape(-1, size)
    padded: NDArray[Any] = np.zeros((len(split), 4), np.uint8)
    padded[:, 4 - size :] = split
    return (padded.view("<i4")[:, 0] >> (32 - 8 * size)).astype(np.int32)
