"""A bitstream beside the design that it holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bitstream:
    """What the FPGA tools have made of a design.

    Parameters
    ----------
    file
        Name in the bundle.
    data
        Its bytes.
    board
        Name of the board.
    loader
        What openFPGALoader calls it.
    clock_hz
        Of the circuit.
    link, baud
        ``uart`` with its baud rate, or ``spi``, whose master sets the pace: 0.
    weights_volatile
        Whether weights lie in memories that hold nothing at power-up: a host writes them.
    timing
        The part `timing` of the report.
    """

    file: str
    data: bytes
    board: str
    loader: str
    clock_hz: int
    link: str
    baud: int
    weights_volatile: bool
    timing: dict[str, Any]

    @property
    def manifest(self) -> dict[str, Any]:
        """The part `board` of the manifest."""
        return {
            "name": self.board,
            "loader": self.loader,
            "clock_hz": self.clock_hz,
            "link": self.link,
            "baud": self.baud,
            "weights_volatile": self.weights_volatile,
            "bitstream": self.file,
            "sha256": hashlib.sha256(self.data).hexdigest(),
        }
