"""What may differ from layer to layer: bits of a weight, and how fine inputs and rates are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Choice:
    """Formats of every layer that are not those of `Widths` and of the ranges.

    Parameters
    ----------
    weight
        Bits of a weight of each layer.
    finer
        Bits by which inputs, then the rates of each layer, are finer than what holds their range;
        their format is as wide as before, and the largest values are clipped. Empty: none.

    Raises
    ------
    ValueError
        For widths that no weight has.
    """

    weight: tuple[int, ...]
    finer: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for bits in self.weight:
            if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
                raise ValueError(f"weight bits must be in 2..16, not {bits!r}")
        if self.finer and (len(self.finer) != len(self.weight) + 1 or min(self.finer) < 0):
            raise ValueError(f"finer must be 0 or more, for inputs and layers, not {self.finer}")

    @classmethod
    def uniform(cls, bits: int, layers: int) -> Self:
        """Return the same bits everywhere."""
        return cls((bits,) * layers)

    def at(self, layers: tuple[int, ...], bits: int) -> Choice:
        """Return the choice with other bits of some layers."""
        weight = tuple(bits if i in layers else old for i, old in enumerate(self.weight))
        return replace(self, weight=weight)

    def sharpened(self, place: int) -> Choice:
        """Return the choice with inputs (0) or rates of a layer (1 and on) a bit finer."""
        finer = list(self.finer or (0,) * (len(self.weight) + 1))
        finer[place] += 1
        return replace(self, finer=tuple(finer))
