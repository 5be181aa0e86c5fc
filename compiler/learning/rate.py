"""Learning rates as registers hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MANTISSA_WIDTH, EXPONENT_WIDTH = 16, 8


@dataclass(frozen=True)
class Rate:
    """`mantissa * 2**-exponent`.

    Parameters
    ----------
    mantissa
        16 bits, unsigned; 0: no learning.
    exponent
        -128..127.
    """

    mantissa: int = 0
    exponent: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.mantissa < 1 << MANTISSA_WIDTH:
            raise ValueError(f"mantissa must be in 0..65535, not {self.mantissa!r}")
        if not -128 <= self.exponent <= 127:
            raise ValueError(f"exponent must be in -128..127, not {self.exponent!r}")

    @property
    def value(self) -> float:
        """The rate as a number."""
        return float(np.ldexp(float(self.mantissa), -self.exponent))

    @classmethod
    def of(cls, value: float) -> Rate:
        """Nearest rate to a number.

        Raises
        ------
        ValueError
            For one that is negative, not finite, or too large or small to be held.
        """
        if not 0 <= value < np.inf:
            raise ValueError(f"rate must be 0 or more, and finite, not {value!r}")
        if value == 0:
            return cls()
        exponent = MANTISSA_WIDTH - int(np.frexp(value)[1])
        mantissa = round(float(np.ldexp(value, exponent)))
        if mantissa == 1 << MANTISSA_WIDTH:
            mantissa, exponent = mantissa >> 1, exponent - 1
        if not -128 <= exponent <= 127:
            raise ValueError(f"rate must be 0, or in 2**-112..2**143, not {value!r}")
        return cls(mantissa, exponent)
