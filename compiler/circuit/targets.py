"""Frames of targets as the chip holds them."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.top import PROBABILITY_BITS

SLOTS = 2


@dataclass(frozen=True)
class TargetSpec:
    """The ring of target frames.

    Parameters
    ----------
    width
        Bits of a word, signed.
    columns
        Words of a frame.
    slots
        Frames held.
    """

    width: int
    columns: int
    slots: int = SLOTS

    @property
    def column_bits(self) -> int:
        """Bits of the number of a word in its frame."""
        return (self.columns - 1).bit_length()

    @property
    def stride(self) -> int:
        """Addresses from one frame to the next."""
        return 1 << self.column_bits


def target_spec(learning: LearningNetwork) -> TargetSpec:
    """Lay out targets: rates of the top layer, or probabilities; 16 bits at least."""
    spec = learning.network.layers[-1]
    least = PROBABILITY_BITS + 2
    return TargetSpec(max(least, spec.rate_format.width), spec.outputs)
