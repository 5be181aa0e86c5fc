"""What is asked of a bitstream."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.planning.boards.description import Description
from vle.compiler.planning.pll import clock_below

DEFAULT_SEEDS, MOST_SEEDS = 2, 64
QUICK_LUTS = {"ecp5": 7000, "ice40": 5280, "gowin": 8000}  # placed and routed in some minutes
LINKS = ("uart", "spi")
MICROPHONE = "microphone"
SENSORS = ("mcp3008", "mcp3208", "max11125", MICROPHONE)


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
    timer
        Whether a step timer ties steps to wall time.
    sensor
        One of `SENSORS`, whose samples are the frames; empty: a host sends them. Brings a timer.
    keep
        Whether the board's flash keeps learned parameters.
    step_s
        Seconds of a step, as the timer has them from power-up on.

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
    timer: bool = False
    sensor: str = ""
    keep: bool = False
    step_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise ValueError(f"seeds must be 1..{MOST_SEEDS}, not {self.seeds}")
        if self.link not in LINKS:
            raise ValueError(f"link must be one of {', '.join(LINKS)}, not {self.link!r}")
        if self.sensor and self.sensor not in SENSORS:
            raise ValueError(f"sensor must be one of {', '.join(SENSORS)}, not {self.sensor!r}")
        for role in self.roles:
            if role not in self.board.ports:
                raise ValueError(f"board {self.board.name} must have pins for {role}")
        if not 0 < self.wanted_hz < float("inf"):
            raise ValueError(f"clock must be positive, not {self.wanted_hz / 1e6:g} MHz")
        clock_below(self.board.chip.family, self.board.clock.hz, self.wanted_hz)

    @property
    def roles(self) -> tuple[str, ...]:
        """Ports of the board that it takes."""
        sensor = "i2s" if self.sensor == MICROPHONE else "adc"
        return (self.link, *[sensor] * bool(self.sensor), *["flash"] * self.keep)

    @property
    def wanted_hz(self) -> float:
        """Hertz that the first attempt aims at."""
        return self.board.clock.default_hz if self.clock_hz is None else self.clock_hz
