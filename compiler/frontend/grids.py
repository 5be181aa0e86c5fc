"""Which roundings of a quantised model the chip can do just so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from vle.compiler.frontend.steps import Floats, Rounding
from vle.compiler.quantization.given import RateGrid
from vle.sim import Layer

HOMOGENEOUS = ("identity", "leaky_relu", "relu")  # phi(k x) = k phi(x) for k > 0
FINEST = 255  # steps of the largest weight
OFF = 1e-3  # of a step: the numbers come in single precision


def exact_grid(rounding: Rounding) -> RateGrid | None:
    """Return the grid of a rounding whose step is a power of two; None where it is not."""
    f_bits = -math.log2(rounding.step)
    if f_bits != round(f_bits):
        return None
    return _grid(round(f_bits), rounding)


def grid_of(rounding: Rounding, layer: Layer, *, last: bool) -> RateGrid | None:
    """Find the grid of a layer's rates; None where the chip cannot have it.

    Rates of functions that are homogeneous can be in any unit, which the next weights undo; those
    of others, and the outputs, cannot: then the step must be a power of two.
    """
    exact = exact_grid(rounding)
    if exact is not None or last or layer.activation.name not in HOMOGENEOUS:
        return exact
    if layer.recurrent is not None:
        return None
    width = max(rounding.high, -rounding.low - 1).bit_length() + 1
    return _grid(width - 1, rounding)


def _grid(f_bits: int, rounding: Rounding) -> RateGrid | None:
    try:
        return RateGrid(f_bits, rounding.low, rounding.high)
    except ValueError:
        return None


def scaled_layer(layer: Layer, unit: float) -> tuple[Layer, float]:
    """Return a layer whose rates are in another unit, and that unit."""
    if unit == 1:
        return layer, 1.0
    return replace(layer, weight=layer.weight * unit, bias=layer.bias * unit), unit


def weight_step(layer: Layer) -> Floats | None:
    """Find the grid that each neuron's weights lie on, `(outputs,)`, NaN where they do not.

    The largest weight is `n` steps for some `n` up to `FINEST`, and all others are whole steps.
    """
    weight = layer.weight
    if layer.recurrent is not None:
        weight = np.concatenate([weight, layer.recurrent], axis=1)
    steps = np.array([_step(row) for row in np.abs(weight)])
    return None if np.isnan(steps).all() else steps


def _step(row: Floats) -> float:
    largest = float(row.max())
    if not largest:
        return math.nan
    counts = np.arange(1, FINEST + 1)
    for columns in (slice(0, 8), slice(None)):  # most counts fail early
        multiple = row[columns, None] / largest * counts
        counts = counts[(np.abs(multiple - np.round(multiple)) < OFF).all(axis=0)]
    return largest / float(counts[0]) if len(counts) else math.nan
