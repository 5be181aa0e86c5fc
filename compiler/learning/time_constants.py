"""Time constants that learn, as logarithms to base 2.

The masters are `log_m = log2(tau_m / dt)` and `log_r = log2(tau_r / dt)`, so that
`alpha = 2**-log_m`, `beta = 2**-log_r`, `rho = 2**(log_r - log_m)`, `kappa = 2**(log_m - log_r)`
follow by a table and a shift, without a divider, and a step in a logarithm is a sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vle.compiler.fixed import Raw, round_shift, saturate
from vle.compiler.learning.noise import stochastic_shift

LOG_BITS = 19  # below the point of a logarithm
LOG_WIDTH = 24  # unsigned: 0 .. 32
CONSTANT_WIDTH = 26
UNIT_SHIFT = 25  # of alpha and beta, which are 1 at most
RATIO_SHIFT = 15  # of rho and kappa
MANTISSA, INDEX = 20, 7  # bits below the point of 2**fraction; of the fraction that choose an entry
SENSITIVITY_WIDTH = 24

_ENTRIES = np.floor(np.exp2(np.arange((1 << INDEX) + 1) / (1 << INDEX)) * (1 << MANTISSA) + 0.5)
EXP2 = _ENTRIES.astype(np.int64)


class Constants(NamedTuple):
    """Words that follow from the logarithms, shape `(outputs,)`."""

    alpha: Raw
    rho: Raw
    beta: Raw
    kappa: Raw


class Logs(NamedTuple):
    """The masters, shape `(outputs,)`."""

    log_m: Raw
    log_r: Raw


class Sensitivity(NamedTuple):
    """How the prospective potential follows `log tau_m`, for the filtered rule; `(outputs,)`.

    `low` is the state, `bar_m` and `bar_r` what the next step's update multiplies.
    """

    low: Raw
    bar_m: Raw
    bar_r: Raw


def exp2(y: Raw, shift: int, width: int) -> Raw:
    """`2**(y / 2**LOG_BITS)`, `shift` bits below the point, clamped to `width` unsigned bits."""
    whole, fraction = y >> LOG_BITS, y & (1 << LOG_BITS) - 1
    index, rest = fraction >> LOG_BITS - INDEX, fraction & (1 << LOG_BITS - INDEX) - 1
    mantissa = EXP2[index] + round_shift((EXP2[index + 1] - EXP2[index]) * rest, LOG_BITS - INDEX)
    left = whole + shift - MANTISSA
    wide = np.where(
        left >= 0,
        mantissa << np.clip(left, 0, width),
        mantissa + (1 << np.clip(-left, 1, 40) - 1) >> np.clip(-left, 1, 40),
    )
    clamped: Raw = np.minimum(wide, (1 << width) - 1)
    return clamped


def derive(logs: Logs) -> Constants:
    """`alpha`, `rho`, `beta`, `kappa` from the masters."""
    ratio = logs.log_r - logs.log_m
    return Constants(
        exp2(-logs.log_m, UNIT_SHIFT, CONSTANT_WIDTH),
        exp2(ratio, RATIO_SHIFT, CONSTANT_WIDTH),
        exp2(-logs.log_r, UNIT_SHIFT, CONSTANT_WIDTH),
        exp2(-ratio, RATIO_SHIFT, CONSTANT_WIDTH),
    )


def update(log: Raw, step: Raw, shift: int, draws: Raw, high: int) -> Raw:
    """`clamp(sr((log * 2**shift + step) / 2**shift), 0, high)`; a step is signal times factor."""
    return np.clip(stochastic_shift((log << shift) + step, shift, draws), 0, high)


def sense(s: Sensitivity, d: Raw, ahead: Raw, constants: Constants) -> Sensitivity:
    """Advance the sensitivities by this step's `d` and `ahead = rnd(rho * d)`.

    ::

        gap   = -d - low;  bar_m = sat(low + rnd(rho * gap));  low = sat(low + rnd(alpha * gap))
        bar_r = sat(ahead)
    """
    gap = -d - s.low
    bar_m = saturate(s.low + round_shift(constants.rho * gap, RATIO_SHIFT), SENSITIVITY_WIDTH)[0]
    low = saturate(s.low + round_shift(constants.alpha * gap, UNIT_SHIFT), SENSITIVITY_WIDTH)[0]
    return Sensitivity(low, bar_m, saturate(ahead, SENSITIVITY_WIDTH)[0])
