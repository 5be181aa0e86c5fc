"""Grids that a model brings, because it was quantised before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vle.compiler.activation import ActivationSpec, PiecewiseLinear
from vle.compiler.fixed import Fixed
from vle.compiler.quantization import rounding
from vle.compiler.quantization.weights import Columns

OFF = 1e-3
LARGEST_SCALE = (1 << 16) - 1


@dataclass(frozen=True)
class RateGrid:
    """Words of inputs or rates: `raw * 2**-f_bits` with `low <= raw <= high`.

    Raises
    ------
    ValueError
        Where no word of the chip holds the ends.
    """

    f_bits: int
    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low < self.high or not 3 <= self.width <= 18:
            raise ValueError(f"grid must be of 3 to 18 bits, not {self.low}..{self.high}")

    @property
    def width(self) -> int:
        """Bits of a word."""
        return max(int(self.high).bit_length(), int(-self.low - 1).bit_length(), 2) + 1

    @property
    def step(self) -> float:
        """Distance between neighbouring values."""
        return float(2.0**-self.f_bits)

    @property
    def format(self) -> Fixed:
        """The narrowest format that holds it."""
        return Fixed(self.width - self.f_bits, self.f_bits)


@dataclass(frozen=True)
class LayerGrid:
    """Grids of one layer.

    Parameters
    ----------
    rate
        Of its rates; None: the compiler's choice.
    limits
        Ends of the rates in real units, where the grid itself cannot be had.
    weight_step
        Distance between neighbouring weights of each neuron, `(outputs,)`; NaN: no such grid.
    """

    rate: RateGrid | None = None
    limits: tuple[float, float] | None = None
    weight_step: NDArray[np.float64] | None = field(default=None, repr=False)


def limited(circuit: ActivationSpec, given: LayerGrid, fmt: Fixed) -> ActivationSpec:
    """Return an activation's circuit that ends where the model's grid does; tables stay."""
    if not isinstance(circuit, PiecewiseLinear):
        return circuit
    if given.rate is not None:
        ends = given.rate.low, given.rate.high
    elif given.limits is not None:
        ends = int(fmt.quantize(given.limits[0])), int(fmt.quantize(given.limits[1]))
    else:
        return circuit
    low, high = max(circuit.low, ends[0]), min(circuit.high, ends[1])
    if low >= high:
        return circuit
    return replace(
        circuit,
        low=low,
        high=high,
        counts_low=circuit.counts_low and low > ends[0],
        counts_high=circuit.counts_high and high < ends[1],
    )


def on_given(
    grid: rounding.Grid, columns: Columns, step: NDArray[np.float64] | None
) -> rounding.Grid:
    """Return a grid of weights with the steps that a model brings, where words can hold them.

    A step must reach all weights of its neuron within the width of a weight, and its scale must
    have enough bits to be within `OFF` of it; columns must all be of one unit.
    """
    if step is None or np.ptp(columns.f_bits):
        return grid
    unit = np.ldexp(step, grid.shift) * columns.unit[0]
    with np.errstate(invalid="ignore", divide="ignore"):  # of several words where words are finer
        finer = np.ceil(np.log2(unit / LARGEST_SCALE))
    unit = np.ldexp(unit, -np.where(np.isfinite(finer), np.maximum(finer, 0), 0).astype(int))
    scale = np.floor(unit + 0.5)
    largest = np.abs(columns.target).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        fits = np.isfinite(unit) & (scale >= 1) & (np.abs(scale / unit - 1) < OFF)
        fits &= largest <= np.ldexp(scale, -grid.shift) * (grid.limit + 0.5)
        fits &= scale <= LARGEST_SCALE
    return grid._replace(scale=np.where(fits, scale, grid.scale).astype(np.int64))


@dataclass(frozen=True)
class Given:
    """Grids of all layers and of the inputs; empty: the compiler's choice."""

    layers: tuple[LayerGrid, ...] = ()
    inputs: RateGrid | None = None

    def of(self, index: int) -> LayerGrid:
        """Grids of a layer."""
        return self.layers[index] if self.layers else LayerGrid()
