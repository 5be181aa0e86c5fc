"""What a session needs of a line of bytes, whichever line that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Timing:
    """How long to wait on a line, in its own seconds.

    Parameters
    ----------
    retry
        For an answer, before what was asked is sent again; more than a full window takes.
    silence
        For any sign of a device, before it counts as gone.
    patience
        For frames to move on, before the chip counts as stuck.
    """

    retry: float
    silence: float
    patience: float

    def __post_init__(self) -> None:
        if not 0 < self.retry <= self.silence <= self.patience:
            raise ValueError(f"retry, silence, patience must be above 0 and rising, not {self}")


class ByteStream(Protocol):
    """A line of bytes, which may lose or damage some. All calls are bounded in time."""

    @property
    def name(self) -> str:
        """What a user calls it."""

    @property
    def timing(self) -> Timing:
        """How long to wait on it."""

    def now(self) -> float:
        """Seconds by the clock of this line, which never goes back."""

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises
        ------
        TransportError
            Where the line is gone.
        """

    def read(self, seconds: float) -> bytes:
        """Return what has come, at the latest after some seconds, and nothing if nothing has.

        Raises
        ------
        TransportError
            Where the line is gone.
        """

    def close(self) -> None:
        """Let go of the line."""
