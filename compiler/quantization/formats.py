"""Which fixed-point formats a network gets, from the ranges of its signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.fixed import Fixed
from vle.compiler.quantization.approximate import reach
from vle.compiler.quantization.ranges import LayerRanges, Range
from vle.errors import CompileError
from vle.sim import Layer

FINER = 10  # bits by which rates of hard functions may be finer than potentials
FULL = 1.0 - 1e-12  # bounded functions end here: the very end of a format is one step less


@dataclass(frozen=True)
class Widths:
    """Bits of every kind of word, and how far formats reach beyond what was observed.

    Parameters
    ----------
    weight, rate, potential, scale, constant
        Bits of a weight, of rates and inputs, of potentials, of scales, of `alpha` and `rho`.
    input_headroom, rate_headroom, potential_headroom
        Formats cover this multiple of what calibration data show.
    least
        Magnitude that all rates can reach, and potentials by their own headroom.
    """

    weight: int = 16
    rate: int = 16
    potential: int = 24
    scale: int = 16
    constant: int = 18
    input_headroom: float = 1.25
    rate_headroom: float = 1.25
    potential_headroom: float = 2.0
    least: float = 0.0

    def __post_init__(self) -> None:
        limits = (
            ("weight", 2, 16),
            ("rate", 3, 18),
            ("potential", 8, 32),
            ("scale", 1, 18),
            ("constant", 8, 26),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} bits must be in {low}..{high}, not {value!r}")
        for name in ("input_headroom", "rate_headroom", "potential_headroom"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)!r}")


def input_format(x: Range, widths: Widths) -> Fixed:
    """Format of the input frames."""
    return _covering(x.magnitude * widths.input_headroom, widths.rate)


def potential_format(layer: Layer, ranges: LayerRanges, widths: Widths) -> Fixed:
    """Format of potential, prospective potential, current and bias."""
    observed = max(ranges.current.magnitude, ranges.u.magnitude, ranges.prosp.magnitude)
    bias = float(abs(layer.bias).max())
    magnitude = max(observed * widths.potential_headroom, bias, 2 * widths.least)
    return _covering(magnitude, widths.potential)


def rate_format(layer: Layer, ranges: LayerRanges, u_format: Fixed, widths: Widths) -> Fixed:
    """Format of the rates; where the function is straight, little or no finer than potentials.

    Tables and functions with bounds of their own do not count what a format would cut off, so their
    format holds whatever a potential can make of them.
    """
    phi = layer.activation
    bounded = phi.name in ("tanh", "sigmoid", "hard_tanh", "hard_sigmoid")
    if bounded or (phi.name == "softplus" and not widths.least):
        span = float(u_format.real(u_format.high))
    else:
        span = max(ranges.prosp.magnitude * widths.rate_headroom, widths.least)
    magnitude = max(map(abs, reach(phi, -span, span)))
    fmt = _covering_loosely(min(magnitude, FULL) if bounded else magnitude, widths.rate)
    if phi.name in ("tanh", "sigmoid"):
        return fmt
    finest = u_format.f_bits + (FINER if bounded else 0)
    return fmt if fmt.f_bits <= finest else Fixed(widths.rate - finest, finest)


def finest_shift(largest: float, width: int) -> int:
    """Finest binary point at which `width` unsigned bits hold a constant."""
    shift = width - 1 - int(np.ceil(np.log2(largest)))
    return shift - 1 if np.floor(np.ldexp(largest, shift) + 0.5) >= 1 << width else shift


def coarser(fmt: Fixed, most: int | None) -> Fixed:
    """Return the format with at most so many bits below the point, its width kept."""
    if most is None or fmt.f_bits <= most:
        return fmt
    return Fixed(fmt.width - most, most)


def finer(fmt: Fixed, bits: int) -> Fixed:
    """Return the format with so many more bits below the point, its width kept."""
    return Fixed(fmt.i_bits - bits, fmt.f_bits + bits)


def _covering(magnitude: float, width: int) -> Fixed:
    try:
        return Fixed.covering(magnitude or 1.0, width)
    except ValueError as error:
        raise CompileError(f"no format of {width} bits covers +-{magnitude:g}") from error


def _covering_loosely(magnitude: float, width: int) -> Fixed:
    """As `covering`, but the last half step below a power of two need not fit."""
    fmt = _covering(magnitude, width)
    finer = Fixed(fmt.i_bits - 1, fmt.f_bits + 1)
    return finer if magnitude <= 2.0 ** (finer.i_bits - 1) else fmt
