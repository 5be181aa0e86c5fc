"""When to try again."""

from __future__ import annotations

MOST = 2  # times the first wait


class Timer:
    """Falls due after a time that doubles with every vain attempt.

    Parameters
    ----------
    first
        Seconds until the first attempt that follows.
    """

    def __init__(self, first: float) -> None:
        self.first = self._wait = first
        self.due = float("inf")

    def start(self, now: float) -> None:
        """Wait from now on, the first time."""
        self._wait = self.first
        self.due = now + self._wait

    def again(self, now: float) -> None:
        """Wait from now on, longer than the time before."""
        self._wait = min(2 * self._wait, MOST * self.first)
        self.due = now + self._wait

    def stop(self) -> None:
        """Wait for nothing."""
        self.due = float("inf")
