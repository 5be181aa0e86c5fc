"""Signed fixed-point formats and the two narrowings of the chip, rounding and saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Raw = NDArray[np.int64]


@dataclass(frozen=True)
class Fixed:
    """A signed two's complement format, `value = raw * 2**-f_bits`.

    Parameters
    ----------
    i_bits
        Integer bits, the sign among them; may be negative where all values are small.
    f_bits
        Fractional bits; may be negative where all values are large.

    References
    ----------
    Amaranth RFC 41 and `ap_fixed` count the same way.
    """

    i_bits: int
    f_bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.width <= 48:
            raise ValueError(f"width must be in 2..48 bits, not {self.width}")

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.i_bits + self.f_bits

    @property
    def low(self) -> int:
        """Smallest raw value."""
        return -(1 << (self.width - 1))

    @property
    def high(self) -> int:
        """Largest raw value."""
        return (1 << (self.width - 1)) - 1

    @property
    def step(self) -> float:
        """Distance between neighbouring values."""
        return float(2.0**-self.f_bits)

    def quantize(self, value: ArrayLike) -> Raw:
        """Nearest raw values, half rounded up, saturated; shape kept."""
        scaled = np.floor(np.ldexp(np.asarray(value, dtype=np.float64), self.f_bits) + 0.5)
        return np.clip(scaled, self.low, self.high).astype(np.int64)

    def real(self, raw: ArrayLike) -> NDArray[np.float64]:
        """Values of raw words; shape kept."""
        return np.ldexp(np.asarray(raw, dtype=np.float64), -self.f_bits)

    @classmethod
    def covering(cls, magnitude: float, width: int) -> Fixed:
        """Finest format of `width` bits that holds every value up to +-`magnitude`."""
        if not np.isfinite(magnitude) or magnitude < 0:
            raise ValueError(f"magnitude must be finite and not negative, not {magnitude!r}")
        high = (1 << (width - 1)) - 1
        f_bits = width - 1 - (int(np.frexp(magnitude)[1]) if magnitude else 1 - width)
        if np.floor(np.ldexp(magnitude, f_bits) + 0.5) > high:
            f_bits -= 1
        return cls(width - f_bits, f_bits)


def round_shift(raw: Raw, shift: int) -> Raw:
    """`raw / 2**shift` to the nearest integer, half up: `(raw + 2**(shift-1)) >> shift`."""
    return (raw + (1 << (shift - 1))) >> shift if shift else raw


def saturate(raw: Raw, width: int) -> tuple[Raw, int]:
    """Clamp to `width` signed bits; return the words and how many of them were clamped."""
    high = (1 << (width - 1)) - 1
    clamped = np.clip(raw, -high - 1, high)
    return clamped, int(np.count_nonzero(clamped != raw))


def width_of(magnitude: int) -> int:
    """Bits of the narrowest signed word that holds every integer in `-magnitude .. +magnitude`."""
    return int(magnitude).bit_length() + 1
