"""The integer weights of one layer, with a scale per neuron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.compiler.fixed import Fixed
from vle.compiler.notes import Note
from vle.compiler.quantization import rounding
from vle.compiler.quantization.moments import Moments
from vle.errors import CompileError
from vle.sim import Layer

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """What a layer multiplies, in raw units.

    With inputs of `2**-f_x` and potentials of `2**-f_u`, `target = matrix * 2**(f_u - f_x)` turns
    raw inputs into raw currents; the chip has `weight * scale / 2**shift` in its place.

    Parameters
    ----------
    matrix
        Real weights, those from the layer itself appended, `(outputs, columns)`.
    f_bits
        Fractional bits of what each column hears, `(columns,)`.
    target
        As above, `(outputs, columns)`.
    unit
        `2**(f_u - f_x)`, `(columns,)`.
    """

    matrix: Float
    f_bits: NDArray[np.int64]
    target: Float
    unit: Float

    @classmethod
    def of(cls, layer: Layer, x_format: Fixed, u_format: Fixed, rate_format: Fixed) -> Columns:
        """Put the two matrices side by side."""
        f_bits, matrix = np.full(layer.inputs, x_format.f_bits), layer.weight
        if layer.recurrent is not None:
            matrix = np.concatenate([matrix, layer.recurrent], axis=1)
            f_bits = np.append(f_bits, np.full(layer.outputs, rate_format.f_bits))
        unit = np.ldexp(1.0, u_format.f_bits - f_bits)
        return cls(matrix, f_bits, matrix * unit, unit)


def round_weights(
    name: str, columns: Columns, grid: rounding.Grid, moments: Moments | None
) -> tuple[rounding.Rounded, list[Note]]:
    """Round weights on the grid of their scales, so that no error of a scale remains.

    Returns
    -------
    The integers, and what was lost, in words.

    Raises
    ------
    CompileError
        Where a neuron's weights all vanish.
    """
    if moments is None:
        rounded = rounding.nearest(columns.target, grid)
        clipped = "weights clipped to their scale"
    else:
        rounded = _by_group(columns, grid, moments)
        clipped = "weights clipped, which lessens the error on the calibration data"
    _refuse_vanished(name, columns, rounded)
    notes = []
    if rounded.clipped.any():
        notes.append(Note(clipped, str(int(rounded.clipped.sum()))))
    return rounded, notes


def coarse_note(columns: Columns, grid: rounding.Grid, rounded: rounding.Rounded) -> list[Note]:
    """Say how many neurons have weights small beside what their words could hold."""
    coarse = np.abs(rounded.weight).max(axis=1) < grid.limit // 4
    coarse &= columns.target.any(axis=1)
    text = "neurons that use less than a quarter of their weights' range"
    return [Note(text, str(int(coarse.sum())))] * bool(coarse.any())


def _by_group(columns: Columns, grid: rounding.Grid, moments: Moments) -> rounding.Rounded:
    unit = np.ldexp(1.0, np.append(columns.f_bits, 0))
    parts = []
    for group, matrix in enumerate(moments.matrix):
        rows = moments.group == group
        raw = rounding.Moments.of(matrix * unit[:, None] * unit)
        parts.append(rounding.best_scale(columns.target[rows], grid.rows(rows), raw))
    back = np.argsort(np.argsort(moments.group, kind="stable"), kind="stable")
    return rounding.Rounded(*(np.concatenate(part)[back] for part in zip(*parts, strict=True)))


def _refuse_vanished(name: str, columns: Columns, rounded: rounding.Rounded) -> None:
    vanished = columns.target.any(axis=1) & ~rounded.weight.any(axis=1)
    if vanished.any():
        row = int(np.flatnonzero(vanished)[0])
        raise CompileError(
            f"{name}: the weights of neuron {row} must not vanish: their largest is "
            f"{np.abs(columns.matrix[row]).max():g} beside {np.abs(columns.matrix).max():g} in "
            f"the layer, too far apart for its scale"
        )
