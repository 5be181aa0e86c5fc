"""The two activation circuits: straight pieces, and a table with linear interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vle.compiler.fixed import Fixed, Raw, round_shift

SLOPE_WIDTH = 18
WORK_WIDTH = 63  # of a product in the integer model: it and its rounding stay within int64


@dataclass(frozen=True)
class PiecewiseLinear:
    """`r = clamp(round(slope * p / 2**shift) + offset, low, high)`.

    The slope depends on the sign of the prospective potential `p`. Identity, relu, leaky relu, hard
    tanh and hard sigmoid are of this kind.

    Parameters
    ----------
    negative_slope, positive_slope
        Signed integers of at most 18 bits, for `p < 0` and `p >= 0`.
    shift
        Bits dropped from the product, rounded half up; 0 to 62.
    offset
        Added after rounding, in raw units of the rate; at most 48 bits.
    low, high
        Bounds in raw units of the rate.
    counts_low, counts_high
        Whether that bound is the end of the rate's format, so that reaching past it counts as
        saturation, rather than a bound of the function itself.
    """

    negative_slope: int
    positive_slope: int
    shift: int
    offset: int
    low: int
    high: int
    counts_low: bool
    counts_high: bool

    def __post_init__(self) -> None:
        for slope in (self.negative_slope, self.positive_slope):
            if not -(1 << SLOPE_WIDTH - 1) <= slope < 1 << SLOPE_WIDTH - 1:
                raise ValueError(f"slope must fit {SLOPE_WIDTH} signed bits, not {slope}")
        if not 0 <= self.shift <= 62:
            raise ValueError(f"shift must be in 0..62, not {self.shift}")
        if not -(1 << 47) <= self.offset < 1 << 47:
            raise ValueError(f"offset must fit 48 signed bits, not {self.offset}")
        if self.low > self.high:
            raise ValueError(f"low must not be above high, not {self.low} > {self.high}")

    def check(self, u_format: Fixed, rate_format: Fixed) -> None:
        """Refuse formats that this circuit is not for."""
        if u_format.width + SLOPE_WIDTH > WORK_WIDTH:
            most = WORK_WIDTH - SLOPE_WIDTH
            raise ValueError(f"potential must fit {most} bits, not {u_format.width}")
        if self.low < rate_format.low or self.high > rate_format.high:
            ends = f"{self.low}..{self.high}"
            raise ValueError(f"low and high must fit {rate_format.width} signed bits, not {ends}")

    def run(self, prosp: Raw) -> tuple[Raw, int]:
        """Rates of prospective potentials, and how many of them saturated."""
        slope = np.where(prosp < 0, self.negative_slope, self.positive_slope)
        rate = round_shift(slope * prosp, self.shift) + self.offset
        saturated = (self.counts_low & (rate < self.low)) | (self.counts_high & (rate > self.high))
        return np.clip(rate, self.low, self.high), int(np.count_nonzero(saturated))


@dataclass(frozen=True)
class Table:
    """Linear interpolation between entries `2**shift` raw potentials apart, around 0.

    With `c = clamp(p)` to the domain, `i = c >> shift` and `f = c mod 2**shift`:
    `r = value[i] + round(delta[i] * f / 2**shift)`, and beyond the upper end, where `tail_shift` is
    given, `+ round((p - c) / 2**tail_shift)` (softplus grows on), saturated to the rate's format.

    Parameters
    ----------
    shift
        Bits of the fraction `f`; 1 or more, with `delta` at most 63.
    value, delta
        Entries, their number a power of two; `value[0]` belongs to the lower end of the domain.
        `delta` is the step to the next entry.
    rate_width
        Bits of a rate.
    tail_shift
        `f_bits` of the potential less those of the rate, where the function grows on; 0 to 62.
    """

    shift: int
    value: tuple[int, ...]
    delta: tuple[int, ...]
    rate_width: int
    tail_shift: int | None = None

    def __post_init__(self) -> None:
        entries = len(self.value)
        if entries < 2 or entries & (entries - 1) or len(self.delta) != entries:
            raise ValueError(f"table must have a power of two of entries, not {entries}")
        most = WORK_WIDTH - max(self.rate_width + 1, self.index_width)
        if not 1 <= self.shift <= most:
            raise ValueError(f"shift must be in 1..{most}, not {self.shift}")
        if self.tail_shift is not None and not 0 <= self.tail_shift <= 62:
            raise ValueError(f"tail_shift must be in 0..62, not {self.tail_shift}")
        high = (1 << (self.rate_width - 1)) - 1
        ends = [value + delta for value, delta in zip(self.value, self.delta, strict=True)]
        if max(*self.value, *ends) > high or min(*self.value, *ends) < -high - 1:
            raise ValueError(f"table must fit {self.rate_width} signed bits")

    def check(self, u_format: Fixed, rate_format: Fixed) -> None:
        """Refuse formats that this table is not for; it takes potentials of any width."""
        if self.rate_width != rate_format.width:
            raise ValueError(f"rate_width must be {rate_format.width}, not {self.rate_width}")

    @property
    def index_width(self) -> int:
        """Bits of the table's address."""
        return len(self.value).bit_length() - 1

    @property
    def high(self) -> int:
        """Largest raw potential of the domain, which begins at `-high - 1`."""
        return (len(self.value) << self.shift >> 1) - 1

    @cached_property
    def _entries(self) -> tuple[Raw, Raw]:
        return np.array(self.value, dtype=np.int64), np.array(self.delta, dtype=np.int64)

    def run(self, prosp: Raw) -> tuple[Raw, int]:
        """Rates of prospective potentials, and how many of them saturated."""
        inside = np.clip(prosp, -self.high - 1, self.high)
        index = (inside >> self.shift) + len(self.value) // 2
        fraction = inside & ((1 << self.shift) - 1)
        value, delta = self._entries[0][index], self._entries[1][index]
        rate = value + round_shift(delta * fraction, self.shift)
        if self.tail_shift is None:
            return rate, 0
        rate = rate + round_shift(np.maximum(prosp - inside, 0), self.tail_shift)
        high = (1 << (self.rate_width - 1)) - 1
        return np.minimum(rate, high), int(np.count_nonzero(rate > high))


ActivationSpec = PiecewiseLinear | Table
