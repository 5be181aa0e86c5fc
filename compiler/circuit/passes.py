"""Events of the passes of a step, for the equations of its timing."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.circuit.geometry import Engine, Pass


@dataclass(frozen=True)
class PassEvents:
    """Events of a pass: first tile of each group issued, first row of each at the neurons."""

    engine: Engine
    piece: Pass
    issue: tuple[int, ...]
    enter: tuple[int, ...]

    @property
    def begin(self) -> int:
        """First tile issued."""
        return self.issue[0]

    @property
    def last_issue(self) -> int:
        """First tile of the last group issued."""
        return self.issue[-1]

    @property
    def last_enter(self) -> int:
        """First row of the last group at the neurons."""
        return self.enter[-1]

    @property
    def last_row(self) -> int:
        """From the entrance of the last group to that of its last row."""
        return self.piece.group_rows[-1] - 1


@dataclass(frozen=True)
class ErrorEvents:
    """Events of an error pass: first row of each group issued."""

    engine: Engine
    piece: Pass
    issue: tuple[int, ...]

    @property
    def begin(self) -> int:
        """First row issued."""
        return self.issue[0]

    @property
    def last_row(self) -> int:
        """From the first row of the last group to its last."""
        return self.piece.group_rows[-1] - 1
