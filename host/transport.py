"""What a device needs of the way to a chip, whichever way that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

PROBED = np.dtype([("word", np.int32), ("user", np.uint32)])


@dataclass(frozen=True)
class Lesson:
    """Raw frames and what a chip that learns is to do with them.

    Parameters
    ----------
    frames
        Shape `(T, inputs)`.
    start
        Those that begin a sequence, shape `(T,)`, as the next two.
    freeze
        Those whose steps update nothing.
    has_target
        Those in whose steps the outputs are compared with a target.
    targets
        One frame for each of these, shape `(count, outputs)`.
    is_error
        Whether its words are errors `-dC/dr` themselves, shape `(count,)`.
    """

    frames: NDArray[np.int32]
    start: NDArray[np.bool_]
    freeze: NDArray[np.bool_]
    has_target: NDArray[np.bool_]
    targets: NDArray[np.int32]
    is_error: NDArray[np.bool_]

    def part(self, begin: int, end: int) -> Lesson:
        """Return frames `begin` to `end` and their targets."""
        before, upto = (int(self.has_target[:at].sum()) for at in (begin, end))
        steps, frames = slice(begin, end), slice(before, upto)
        return Lesson(
            self.frames[steps],
            self.start[steps],
            self.freeze[steps],
            self.has_target[steps],
            self.targets[frames],
            self.is_error[frames],
        )


class Transport(Protocol):
    """Frames and registers of one chip. All calls are bounded in time."""

    def exchange(
        self, frames: NDArray[np.int32], start: NDArray[np.bool_], words: int
    ) -> NDArray[np.int32]:
        """Send raw frames `(T, inputs)`, return as many of `words` raw words, `(T, words)`.

        `start` of shape `(T,)` marks those that begin a sequence.

        Raises
        ------
        TransportError
            Where the chip does not take or send them in time.
        """

    def learn(self, lesson: Lesson, words: int) -> NDArray[np.int32]:
        """As `exchange`, of a chip that learns."""

    def take_probes(self) -> NDArray[Any]:
        """Return words of probes that have come since the last call, in their order, as `PROBED`.

        `user` holds the probe in bits 0 to 7, the exponent in 8 to 15, and in 16 to 31 how many
        words the probe had seen before.
        """

    def read(self, addresses: ArrayLike) -> NDArray[np.uint32]:
        """Read registers at byte addresses, in any order."""

    def write(self, addresses: ArrayLike, data: ArrayLike) -> None:
        """Write registers at byte addresses, in any order: where it matters, call twice."""

    def close(self) -> None:
        """Let go of the chip."""


class Listener(Transport, Protocol):
    """The way to a chip whose board may have a sensor."""

    def listen(self, count: int, words: int, seconds: float | None) -> NDArray[np.int32]:
        """Return the next answers, `(count, words)`, without having sent anything.

        Parameters
        ----------
        count, words
            Output frames, and words of each.
        seconds
            For all of them; None: as long as one comes now and then.

        Raises
        ------
        TransportError
            Where they do not come in time; after `seconds` those that came are the next ones.
        """
