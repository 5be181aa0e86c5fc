"""The error filter in integers, and the exponent that the errors of a layer share.

An error word `w` of a layer stands for `w * 2**exponent`; the exponent changes between steps only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.compiler.fixed import Raw, round_shift, saturate

Flags = NDArray[np.bool_]

GUARD = 2  # bits below the point of an error while it is multiplied by a derivative
SUM_WIDTH = 32  # of a column's sum on its way down
LEFT, RIGHT = 20, 47  # shifts beyond change nothing: all bits are out, or clamped
LOWEST, HIGHEST = -96, 31  # of an exponent
PATIENCE = 16  # steps with small errors before the exponent falls by one


class Scale(NamedTuple):
    """Exponent of a layer's errors, and for how many steps in a row they have been small."""

    exponent: int
    quiet: int = 0


class Errors(NamedTuple):
    """What a layer's errors are in one step; arrays of shape `(outputs,)`."""

    inst_e: Raw
    e: Raw
    v: Raw
    scale: Scale  # of the next step
    saturated: int  # neurons with a word clamped


def align(raw: Raw, left: int, width: int) -> tuple[Raw, Flags]:
    """`raw * 2**left`, rounded half up where bits are dropped, clamped; and whether it was."""
    wide = raw << min(left, LEFT) if left >= 0 else round_shift(raw, min(-left, RIGHT))
    clamped, _ = saturate(wide, width)
    return clamped, clamped != wide


def combine(parts: list[tuple[Raw, int]], exponent: int, width: int) -> tuple[Raw, Flags]:
    """Sum of errors from several sides, each `(raw, exponent)`, with `GUARD` more bits.

    Each part is aligned and clamped to `width + GUARD` bits, then their sum is. Returns it and
    whether anything was clamped.
    """
    total, over = np.zeros_like(parts[0][0]), np.zeros_like(parts[0][0]) != 0
    for raw, own in parts:
        aligned, beyond = align(raw, own - exponent + GUARD, width + GUARD)
        total, over = total + aligned, over | beyond
    clamped, _ = saturate(total, width + GUARD)
    return clamped, over | (clamped != total)


@dataclass(frozen=True)
class ErrorFilter:
    """What one step of a layer's errors depends on beside its state.

    ::

        s      = sat(sum of parts)                          (exponent - GUARD)
        inst_e = sat(rnd(prime * s / 2**(prime_shift + GUARD)))
        f      = inst_e * 2**guard - v                      (guard = v_width - error_width)
        e      = sat(rnd((v * 2**kappa_shift + kappa * f) / 2**(kappa_shift + guard)))
        v      = v + rnd(beta * f / 2**beta_shift)          (beta <= 1: cannot overflow)

    Parameters
    ----------
    kappa, beta
        Raw `tau_m / tau_r` and `dt / tau_r`, shape `(outputs,)`.
    kappa_shift, beta_shift, prime_shift
        Binary points of both, and of derivatives.
    error_width, v_width
        Bits of an error, and of `v`.
    """

    kappa: Raw
    beta: Raw
    kappa_shift: int
    beta_shift: int
    prime_shift: int
    error_width: int
    v_width: int

    def step(
        self, parts: list[tuple[Raw, int]], prime: Raw, v: tuple[Raw, int], scale: Scale
    ) -> Errors:
        """One step of the errors.

        Parameters
        ----------
        parts
            From above and from the layer itself: words and their exponents.
        prime
            Derivatives of the step before.
        v
            Low-passed errors and their exponent, that of the step before.
        scale
            Exponent of this step.
        """
        width, guard = self.error_width, self.v_width - self.error_width
        s, over = combine(parts, scale.exponent, width)
        wide_inst = round_shift(prime * s, self.prime_shift + GUARD)
        inst_e = saturate(wide_inst, width)[0]
        low, _ = align(v[0], v[1] - scale.exponent, self.v_width)
        f = (inst_e << guard) - low
        exact = (low << self.kappa_shift) + self.kappa * f
        wide_e = round_shift(exact, self.kappa_shift + guard)
        e = saturate(wide_e, width)[0]
        low = low + round_shift(self.beta * f, self.beta_shift)
        words = np.concatenate([wide_inst, wide_e, low >> guard])
        magnitude = int(np.bitwise_or.reduce(words ^ words >> 63))
        magnitude |= int(over.any()) << width + 1
        count = int(np.count_nonzero(over | (inst_e != wide_inst) | (e != wide_e)))
        return Errors(inst_e, e, low, rescale(scale, magnitude, width), count)


def rescale(scale: Scale, magnitude: int, error_width: int) -> Scale:
    """Exponent of the next step, from the bits that any word of this step has used.

    With `B = bit_length(magnitude)`: above `error_width - 2` the exponent rises by as many bits at
    once; where `0 < B < error_width - 5` in `PATIENCE` steps in a row it falls by one.
    """
    bits = magnitude.bit_length()
    if bits > error_width - 2:
        return Scale(min(scale.exponent + bits - error_width + 2, HIGHEST))
    if not 0 < bits < error_width - 5:
        return Scale(scale.exponent)
    if scale.quiet + 1 < PATIENCE:
        return Scale(scale.exponent, scale.quiet + 1)
    return Scale(max(scale.exponent - 1, LOWEST))


def sum_width(rows: int, weight_width: int, error_width: int) -> int:
    """Bits of a column's sum that cannot overflow, not even with all words at their lowest."""
    return weight_width + error_width - 1 + rows.bit_length()


def drop_of(rows: int, weight_width: int, error_width: int) -> int:
    """Bits dropped from a column's sum on its way down, rounded half up."""
    return max(0, sum_width(rows, weight_width, error_width) - SUM_WIDTH)
