"""Derivatives of the activation circuits, `r_prime`, as words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear, Table
from vle.compiler.fixed import Raw, round_shift, saturate

PRIME_WIDTH = 18  # of a derivative, signed: a factor of a DSP block


@dataclass(frozen=True)
class Pieces:
    """Derivative of straight pieces: by the sign of `p`, 0 beyond the function's own bounds.

    Where a rate is clamped to the end of its format the derivative is that of the piece.

    Parameters
    ----------
    negative, positive
        Derivative for `p <= 0` and `p > 0`, raw: at a kink it is that of the left side.
    """

    negative: int
    positive: int

    def run(self, circuit: ActivationSpec, prosp: Raw, r: Raw) -> Raw:
        """Return derivatives at `prosp`; shape kept."""
        assert isinstance(circuit, PiecewiseLinear)
        slope = np.where(prosp < 0, circuit.negative_slope, circuit.positive_slope)
        rate = round_shift(slope * prosp, circuit.shift) + circuit.offset
        flat = (not circuit.counts_low) & (rate < circuit.low)
        flat |= (not circuit.counts_high) & (rate > circuit.high)
        return np.where(flat, 0, np.where(prosp > 0, self.positive, self.negative))


@dataclass(frozen=True)
class OfRate:
    """Derivative that follows from the rate: `1 - r**2` (tanh), `r - r**2` (sigmoid).

    `round((one + linear * r - r * r) / 2**shift)`, `linear` and `one` in the units of `r * r`.

    Parameters
    ----------
    one
        1 in the units of `r * r`, or 0.
    linear_shift
        `r` counts times `2**linear_shift`; None: not at all.
    shift
        From the units of `r * r` to those of a derivative.
    """

    one: int
    linear_shift: int | None
    shift: int

    def run(self, circuit: ActivationSpec, prosp: Raw, r: Raw) -> Raw:
        """Return derivatives where the rate is `r`; shape kept."""
        linear = 0 if self.linear_shift is None else r << self.linear_shift
        prime = round_shift(self.one + linear - r * r, self.shift)
        return saturate(prime, PRIME_WIDTH)[0]


@dataclass(frozen=True)
class OfTable:
    """Slope of the table's piece: `delta[i] * 2**shift`, and beyond its upper end `tail`.

    Parameters
    ----------
    shift
        From a step of the table to a derivative; negative ones round.
    tail
        Derivative beyond the upper end of the domain, raw; 0 where the table does not grow on.
    """

    shift: int
    tail: int

    def run(self, circuit: ActivationSpec, prosp: Raw, r: Raw) -> Raw:
        """Return derivatives at `prosp`; shape kept."""
        assert isinstance(circuit, Table)
        inside = np.clip(prosp, -circuit.high - 1, circuit.high)
        delta = np.array(circuit.delta)[(inside >> circuit.shift) + len(circuit.delta) // 2]
        raw = delta << self.shift if self.shift >= 0 else round_shift(delta, -self.shift)
        return saturate(np.where(prosp > inside, self.tail, raw), PRIME_WIDTH)[0]


DerivativeSpec = Pieces | OfRate | OfTable
