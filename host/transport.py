"""What a device needs of the way to a chip, whichever way that is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


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

    def read(self, addresses: ArrayLike) -> NDArray[np.uint32]:
        """Read registers at byte addresses, one after the other."""

    def write(self, addresses: ArrayLike, data: ArrayLike) -> None:
        """Write registers at byte addresses, one after the other."""

    def close(self) -> None:
        """Let go of the chip."""
