"""Addresses of registers, parameters and state, from the register map of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.host.checks import integers

BYTES = 4  # per word address


@dataclass(frozen=True)
class Window:
    """Words of one layer in a memory, see `vle.compiler.circuit.windows`.

    Parameters
    ----------
    name
        ``layer<l>.<kind>``.
    base, count
        Word address of the first word, and how many addresses follow.
    width, signed, high
        Of a word; the largest one.
    lanes, pe, simd, tiles, first
        Layout.
    """

    name: str
    base: int
    count: int
    width: int
    signed: bool
    high: int
    lanes: int
    pe: int
    simd: int
    tiles: int
    first: int

    def vector(self, size: int) -> NDArray[np.int64]:
        """Byte addresses of `size` words: one after the other, or side by side in lanes."""
        place = self.first + np.arange(size)
        return BYTES * (self.base + self._at(place // self.simd, place % self.simd))

    def matrix(self, rows: int, columns: int) -> NDArray[np.int64]:
        """Byte addresses of a weight matrix, shape `(rows, columns)`."""
        i, j = np.ogrid[:rows, :columns]
        word = (i // self.pe) * self.tiles + j // self.simd
        lane = (i % self.pe) * self.simd + j % self.simd
        return BYTES * (self.base + self._at(word, lane))

    def _at(self, word: NDArray[np.int64], lane: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray((word << (self.lanes - 1).bit_length()) + lane, dtype=np.int64)

    def check(self, words: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return words of this window as integers.

        Raises
        ------
        ValueError
            For another shape, or a word that does not fit.
        """
        if np.shape(words) != shape:
            raise ValueError(f"{self.name} must be of shape {shape}, not {np.shape(words)}")
        low = -(1 << (self.width - 1)) if self.signed else 0
        return integers(self.name, words, (low, self.high))

    def decode(self, words: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Values of bus words, which are sign-extended where signed."""
        return words.view(np.int32).astype(np.int64) if self.signed else words.astype(np.int64)


@dataclass(frozen=True)
class RegisterMap:
    """Byte addresses by name, and windows by kind and layer.

    Parameters
    ----------
    hash
        What the register HASH must answer.
    address
        Byte address of each register.
    bits
        Names of its bits from the lowest, where it is made of bits.
    windows
        By kind and layer.
    """

    hash: int
    address: dict[str, int]
    bits: dict[str, list[str]]
    windows: dict[tuple[str, int], Window]

    @classmethod
    def of_json(cls, plain: dict[str, Any]) -> Self:
        """Read the map as `vle.compiler.circuit.registers.RegisterMap.json` gives it."""
        names = Window.__dataclass_fields__
        return cls(
            plain["hash"],
            {register["name"]: BYTES * register["address"] for register in plain["registers"]},
            {register["name"]: register["bits"] for register in plain["registers"]},
            {
                (w["kind"], w["layer"]): Window(**{name: w[name] for name in names})
                for w in plain["windows"]
            },
        )
