"""What a stream or a channel of AXI owes its reader, watched cycle by cycle."""

from __future__ import annotations


class Held:
    """Once valid, a word stays valid and the same until it was taken.

    Parameters
    ----------
    name
        Shown where it did not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: tuple[int, ...] | None = None

    def see(self, valid: int, ready: int, *word: int) -> None:
        """One cycle."""
        if self.waiting is not None:
            assert valid, f"{self.name}: valid fell before the word was taken"
            assert word == self.waiting, f"{self.name}: word changed from {self.waiting} to {word}"
        self.waiting = word if valid and not ready else None

    def clear(self) -> None:
        """Nothing is owed after a reset."""
        self.waiting = None
