"""Updates of weights and biases: one product per weight, rounded stochastically."""

from __future__ import annotations

from typing import NamedTuple

from vle.compiler.fixed import Raw, saturate
from vle.compiler.learning.errors import RIGHT
from vle.compiler.learning.noise import stochastic_shift
from vle.compiler.learning.rate import Rate

SIGNAL_WIDTH = 18  # of the learning signal: a factor of a DSP block
SIGNAL_LEFT = 17  # shifts beyond change nothing


class Updated(NamedTuple):
    """New words and how many of them were clamped."""

    words: Raw
    saturated: int


def learning_signal(rate: Rate, error: Raw, point: int, draws: Raw) -> Updated:
    """`sat(sr(mantissa * error * 2**(point - rate.exponent)))`: what an update multiplies.

    Parameters
    ----------
    rate
        Learning rate; its mantissa times the error is exact.
    error
        `e` or `inst_e`, shape `(outputs,)`.
    point
        From an error word to a signal word of a rate of 1, in bits.
    draws
        Of `noise.signal_draws`.
    """
    product, left = rate.mantissa * error, point - rate.exponent
    if left >= 0:
        wide = product << min(left, SIGNAL_LEFT)
    else:
        wide = stochastic_shift(product, min(-left, RIGHT), draws)
    return Updated(*saturate(wide, SIGNAL_WIDTH))


def update_weights(  # noqa: PLR0917 - in the order of the equation
    weight: Raw, signal: Raw, x: Raw, shift: int, draws: tuple[Raw, Raw], width: int
) -> Updated:
    """`w = sat(sr((w * 2**shift + signal_i * x_ij) / 2**shift))`.

    Parameters
    ----------
    weight
        Shape `(outputs, columns)`.
    signal
        Learning signals, shape `(outputs,)`.
    x
        What each weight heard, shape `(columns,)` or `(outputs, columns)`.
    shift
        Bits of an update below a weight's last.
    draws
        Per row and per column; a weight's draw is their sum modulo `2**16`.
    width
        Of a weight.
    """
    draw = draws[0][:, None] + draws[1] & 0xFFFF
    exact = (weight << shift) + signal[:, None] * x
    return Updated(*saturate(stochastic_shift(exact, shift, draw), width))


def update_bias(bias: Raw, signal: Raw, shift: int, draws: Raw, width: int) -> Updated:
    """`b = sat(sr((b * 2**shift + signal) / 2**shift))`; with a negative shift the signal grows."""
    if shift < 0:
        return Updated(*saturate(bias + (signal << -shift), width))
    return Updated(*saturate(stochastic_shift((bias << shift) + signal, shift, draws), width))
