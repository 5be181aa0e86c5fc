"""From one float layer to its integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.compiler.fixed import Fixed, Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.learning.time_constants import (
    CONSTANT_WIDTH,
    RATIO_SHIFT,
    UNIT_SHIFT,
    derive,
)
from vle.compiler.notes import Note
from vle.compiler.quantization import rounding
from vle.compiler.quantization.approximate import Approximation, approximate, is_tabulated
from vle.compiler.quantization.bounds import span_of
from vle.compiler.quantization.formats import (
    Widths,
    coarser,
    finer,
    finest_shift,
    potential_format,
    rate_format,
)
from vle.compiler.quantization.given import LayerGrid, limited, on_given
from vle.compiler.quantization.learning import LearningOptions, master_logs
from vle.compiler.quantization.moments import Moments
from vle.compiler.quantization.pattern import LayerPattern
from vle.compiler.quantization.ranges import LayerRanges
from vle.compiler.quantization.weights import Columns, coarse_note, round_weights
from vle.errors import CompileError
from vle.sim import Layer

Float = NDArray[np.float64]
CONSTANT_ERROR = 0.01  # largest relative error of alpha and rho
CONSTANT_NOTED = 0.001  # beyond that one is noted
NO_GRID = LayerGrid()


@dataclass(frozen=True)
class LayerJob:
    """The quantisation of one layer.

    Parameters
    ----------
    name, layer, dt
        What it is of.
    widths
        Bits of every kind of word.
    x_format
        Of what it hears.
    ranges
        Of its signals.
    like
        Formats and scales to take over.
    learning
        How it is to learn.
    point
        Most bits below the point of its rates.
    given
        Grids that the model brings.
    finer
        Bits by which its rates are finer than what holds their range.
    """

    name: str
    layer: Layer
    dt: float
    widths: Widths
    x_format: Fixed
    ranges: LayerRanges
    like: LayerPattern | None
    learning: LearningOptions | None
    point: int | None
    given: LayerGrid = NO_GRID
    finer: int = 0

    def run(self, moments: Moments | None) -> tuple[LayerSpec, Approximation, list[Note]]:
        """Choose formats, round parameters, and say what that changed."""
        layer, widths = self.layer, self.widths
        u_format, fmt, notes = self.formats()
        phi = self.approximation(u_format, fmt)
        columns = Columns.of(layer, self.x_format, u_format, fmt)
        grid = self.grid(columns)
        rounded, lost = round_weights(self.name, columns, grid, moments)
        if self.learning is None:  # else weights need room to grow
            lost += coarse_note(columns, grid, rounded)
        bias, clipped = self.bias(u_format, rounded.bias_shift)
        (alpha, alpha_shift), (rho, rho_shift) = self.constants()
        off = [
            *self.off("alpha", self.dt / layer.tau_m, alpha, alpha_shift),
            *self.off("rho", layer.tau_r / layer.tau_m, rho, rho_shift),
        ]
        try:
            spec = LayerSpec(
                name=self.name,
                weight=rounded.weight,
                scale=rounded.scale,
                bias=bias,
                alpha=alpha,
                rho=rho,
                scale_shift=grid.shift,
                alpha_shift=alpha_shift,
                rho_shift=rho_shift,
                activation=limited(phi.circuit, self.given, fmt),
                recurrent=layer.recurrent is not None,
                weight_width=widths.weight,
                scale_width=widths.scale,
                constant_width=self.constant_width,
                x_format=self.x_format,
                u_format=u_format,
                rate_format=fmt,
            )
        except ValueError as error:
            raise CompileError(str(error)) from error
        return spec, phi, [*notes, *phi.notes, *lost, *clipped, *off, *self.rest(u_format, fmt)]

    def approximation(self, u_format: Fixed, fmt: Fixed) -> Approximation:
        """Choose the circuit of the activation."""
        phi = self.layer.activation
        try:
            found = approximate(phi, u_format, fmt)
        except ValueError as error:
            raise CompileError(f"{self.name}: {error}") from error
        if is_tabulated(phi) and found.error > span_of(self.layer):
            raise CompileError(
                f"{self.name}: potentials must be finer for {phi.name}: steps of "
                f"{u_format.step:g} leave nothing of its range of {span_of(self.layer):g}"
            )
        return found

    def grid(self, columns: Columns) -> rounding.Grid:
        """Values that the weights may take."""
        if self.like is not None and (self.learning is None or np.all(self.like.scale == 1)):
            limit = (1 << (self.widths.weight - 1)) - 1
            return rounding.Grid(self.like.scale, self.like.scale_shift, limit, whole=True)
        if self.learning is not None:
            largest = self.learning.reach(self.layer) * float(columns.unit.max())
            return rounding.Grid.of_one(largest, len(columns.target), self.widths.weight)
        grid = rounding.Grid.of(columns.target, self.widths.weight, self.widths.scale)
        return on_given(grid, columns, self.given.weight_step)

    def rate_format(self, u_format: Fixed) -> Fixed:
        """Format of the rates."""
        if self.given.rate is not None:
            return self.given.rate.format
        fmt = finer(rate_format(self.layer, self.ranges, u_format, self.widths), self.finer)
        return coarser(fmt, self.point)

    def formats(self) -> tuple[Fixed, Fixed, list[Note]]:
        """Return the formats of potentials and rates.

        Potentials are made coarser where a scale would have to be larger than its word.
        """
        if self.like is not None:
            return self.like.u_format, self.like.rate_format, []
        u_format = potential_format(self.layer, self.ranges, self.widths)
        fmt = self.rate_format(u_format)
        missing = -self.grid(Columns.of(self.layer, self.x_format, u_format, fmt)).shift
        if missing <= 0:
            return u_format, fmt, []
        u_format = Fixed(u_format.i_bits + missing, u_format.f_bits - missing)
        fmt = self.rate_format(u_format)
        text = "potentials made coarser by as many bits, since scales of weights have no more"
        return u_format, fmt, [Note(text, str(missing))]

    def bias(self, u_format: Fixed, shift: Float) -> tuple[Raw, list[Note]]:
        """Words of the bias, with what the rounding of the weights adds to it."""
        exact = np.floor(np.ldexp(self.layer.bias, u_format.f_bits) + shift + 0.5)
        kept = np.clip(exact, u_format.low, u_format.high).astype(np.int64)
        count = int(np.count_nonzero(kept != exact))
        return kept, [Note("biases clipped to the potential's format", str(count))] if count else []

    def rest(self, u_format: Fixed, fmt: Fixed) -> list[Note]:
        """Say how far off potentials can rest, since steps of less than half a word are lost."""
        slowest = self.layer.tau_m.max()
        rest = u_format.step / 2 * slowest / self.dt if slowest > self.dt else 0.0
        if rest <= fmt.step:
            return []
        text = "with long time constants, potentials can come to rest this far from their value"
        return [Note(f"{text}, in rate steps", f"{rest / fmt.step:.1f}")]

    @property
    def learns_tau(self) -> bool:
        """Whether time constants follow from logarithms that learn."""
        return self.learning is not None and self.learning.time_constants

    @property
    def constant_width(self) -> int:
        """Bits of `alpha` and `rho`."""
        return CONSTANT_WIDTH if self.learns_tau else self.widths.constant

    def constants(self) -> tuple[tuple[Raw, int], tuple[Raw, int]]:
        """Words and binary points of `alpha` and of `rho`."""
        layer = self.layer
        if self.learns_tau or _were_learned(self.like):
            words = derive(master_logs(layer, self.dt))
            return (words.alpha, UNIT_SHIFT), (words.rho, RATIO_SHIFT)
        alpha, alpha_shift = self.constant("alpha", self.dt / layer.tau_m)
        rho, rho_shift = self.constant("rho", layer.tau_r / layer.tau_m)
        # tau_r >= dt shall hold for the words as well: rho' >= alpha'.
        least = np.ceil(np.ldexp(alpha.astype(np.float64), rho_shift - alpha_shift))
        most = (1 << self.widths.constant) - 1
        rho = np.maximum(rho, np.minimum(least.astype(np.int64), most))
        return (alpha, alpha_shift), (rho, rho_shift)

    def constant(self, what: str, value: Float) -> tuple[Raw, int]:
        """Words of `alpha` or `rho` at the finest binary point that holds the largest."""
        if what == "alpha" and value.max() > 1:
            raise CompileError(
                f"{self.name}: dt must be at most tau_m, not {value.max():g} times it"
            )
        width = self.widths.constant
        shift = min(finest_shift(value.max(), width), 62)
        if self.like is not None:
            shift = self.like.shifts[f"{what}_shift"]
        if shift < 0 or np.ldexp(value.max(), shift) + 0.5 >= 1 << width:
            raise CompileError(f"{self.name}: {what} up to {value.max():g} needs over {width} bits")
        return np.floor(np.ldexp(value, shift) + 0.5).astype(np.int64), shift

    def off(self, what: str, value: Float, raw: Raw, shift: int) -> list[Note]:
        """Refuse words of `alpha` or `rho` too far from their values, and say where they are near.

        Raises
        ------
        CompileError
            For a relative error above `CONSTANT_ERROR`.
        """
        off = np.abs(np.ldexp(raw.astype(np.float64), -shift) / value - 1)
        if off.max() > CONSTANT_ERROR:
            neuron = int(off.argmax())
            raise CompileError(
                f"{self.name}: {what} of neuron {neuron} must be represented within "
                f"{CONSTANT_ERROR:.0%}: {value[neuron]:.3g} beside {value.max():.3g} in "
                f"{self.widths.constant} bits is off by {off.max():.1%} (time constants too far "
                f"apart)"
            )
        if off.max() <= CONSTANT_NOTED:
            return []
        return [Note(f"{what} is off by more than {CONSTANT_NOTED:.1%}", f"{off.max():.2%}")]


def _were_learned(like: LayerPattern | None) -> bool:
    """Whether time constants were learned on a chip: their words follow from logarithms."""
    if like is None:
        return False
    shifts = (like.shifts["alpha_shift"], like.shifts["rho_shift"])
    return like.constant_width == CONSTANT_WIDTH and shifts == (UNIT_SHIFT, RATIO_SHIFT)
