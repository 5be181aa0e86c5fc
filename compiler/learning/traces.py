"""The filtered input in integers: one trace per column and per pair of time constants."""

from __future__ import annotations

from typing import NamedTuple

from vle.compiler.fixed import Raw, round_shift, saturate

GUARD = 8  # bits of a trace below the point of an input


class Trace(NamedTuple):
    """State of a layer's traces, shape `(groups, columns)`.

    `low` is the low pass of the input, `bar` what the next step's update multiplies.
    """

    low: Raw
    bar: Raw


def advance(
    trace: Trace,
    z: Raw,
    constants: tuple[Raw, int, Raw, int],
    drop: int,
    width: int,
) -> tuple[Trace, int]:
    """One step of the traces, and how many words were clamped.

    ::

        gap = z * 2**GUARD - low
        bar = sat(rnd((low * 2**rho_shift + rho * gap) / 2**(rho_shift + GUARD + drop)))
        low = low + rnd(alpha * gap / 2**alpha_shift)       (alpha <= 1: cannot overflow)

    Parameters
    ----------
    trace
        After the step before.
    z
        Inputs and own rates of this step, shape `(columns,)`.
    constants
        `alpha`, `alpha_shift`, `rho`, `rho_shift`; words per group.
    drop
        Bits by which `bar` is coarser than `z`, for `rho` above 1.
    width
        Of `z` and of `bar`.
    """
    alpha, alpha_shift, rho, rho_shift = constants
    gap = (z << GUARD) - trace.low
    exact = (trace.low << rho_shift) + rho[:, None] * gap
    bar, saturated = saturate(round_shift(exact, rho_shift + GUARD + drop), width)
    low = trace.low + round_shift(alpha[:, None] * gap, alpha_shift)
    return Trace(low, bar), saturated
