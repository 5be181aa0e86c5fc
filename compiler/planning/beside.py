"""What stands beside a chip on its board: the link to the host and the registers of the board."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Beside:
    """Logic cells and memory blocks that a chip must leave free."""

    cells: int
    blocks: int


BESIDE = {
    "ecp5": Beside(1200, 4),
    "ice40": Beside(1400, 4),
    "gowin": Beside(1900, 4),
}
