"""What is asked of a bitstream."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.planning.boards.description import Description
from vle.compiler.planning.pll import clock_below

DEFAULT_SEEDS, MOST_SEEDS = 2, 64
LINKS = ("uart", "spi")


@dataclass(frozen=True)
class BuildOptions:
    """How to build for a board.

    Parameters
    ----------
    board
        The board.
    clock_hz
        What to aim at; None: the board's default.
    seeds
        How many placements to try; one where the tools cannot time them.
    link
        ``uart`` or ``spi``.

    Raises
    ------
    ValueError
        For values out of range, and a link that the board has not.
    CompileError
        For a clock that the board cannot make.
    """

    board: Description
    clock_hz: float | None = None
    seeds: int = DEFAULT_SEEDS
    link: str = "uart"

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise ValueError(f"seeds must be 1..{MOST_SEEDS}, not {self.seeds}")
        if self.link not in LINKS:
            raise ValueError(f"link must be one of {', '.join(LINKS)}, not {self.link!r}")
        if self.link not in self.board.ports:
            raise ValueError(f"link must be one that {self.board.name} has, not {self.link}")
        if not 0 < self.wanted_hz < float("inf"):
            raise ValueError(f"clock must be positive, not {self.wanted_hz / 1e6:g} MHz")
        clock_below(self.board.chip.family, self.board.clock.hz, self.wanted_hz)

    @property
    def wanted_hz(self) -> float:
        """Hertz that the first attempt aims at."""
        return self.board.clock.default_hz if self.clock_hz is None else self.clock_hz
