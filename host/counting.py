"""What a chip has counted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vle.host.chip import CLEAR_COUNTERS, Chip

COUNTERS = ("current", "prosp", "rate")


class Counting:
    """The counters of a device.

    Parameters
    ----------
    chip
        The chip.

    Members
    -------
    input_saturation
        Values of signals that were clamped before they were sent.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.input_saturation = 0

    def saturation(self) -> NDArray[np.int64]:
        """Words clamped since the counters were cleared, `(layers, 3)`: current, prosp, rate."""
        return self._counters("SATURATION", COUNTERS)

    @property
    def steps(self) -> int:
        """Input frames accepted since the counters were cleared."""
        return self.chip.read("STEPS")

    @property
    def frame_errors(self) -> int:
        """Input frames of a wrong length, dropped, since the counters were cleared."""
        return self.chip.read("FRAME_ERRORS")

    def clear_counters(self) -> None:
        """Put all counters to 0."""
        self.chip.write("CTRL", CLEAR_COUNTERS)
        self.input_saturation = 0

    def _counters(self, name: str, kinds: Iterable[str]) -> NDArray[np.int64]:
        layers = range(len(self.chip.bundle.layers))
        return self.chip.read_all([[f"{name}[{k}][{kind}]" for kind in kinds] for k in layers])
