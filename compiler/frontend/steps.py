"""The intermediate form: what a frame goes through, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vle.errors import CompileError
from vle.sim import Activation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """`y = W x + b`, weight `(out, in)`, bias `(out,)`."""

    node: str
    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)


@dataclass(frozen=True)
class Elementwise:
    """`y = scale * x + shift`; both of shape `(n,)`, or `()` for all elements alike."""

    node: str
    scale: Floats = field(repr=False)
    shift: Floats = field(repr=False)


@dataclass(frozen=True)
class Nonlinear:
    """`y = phi(x)`, element by element."""

    node: str
    activation: Activation


@dataclass(frozen=True)
class Recurrence:
    """`h_t = phi(W x_t + R h_(t-1) + b)` from `h = 0`, the Elman layer of ONNX."""

    node: str
    weight: Floats = field(repr=False)
    recurrent: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    activation: Activation


Step = Matrix | Elementwise | Nonlinear | Recurrence


def verify(steps: list[Step], inputs: int) -> None:
    """Check that widths fit from step to step and that all numbers are finite.

    Raises
    ------
    CompileError
        Naming the node that does not fit.
    """
    width = inputs
    for step in steps:
        for what, array in vars(step).items():
            if isinstance(array, np.ndarray) and not np.isfinite(array).all():
                bad = array[~np.isfinite(array)][0]
                raise CompileError(f"{what} must be finite, not {bad}", node=step.node)
        takes, gives = _widths(step, width)
        if takes != width:
            raise CompileError(f"width must be the {width} from below, not {takes}", node=step.node)
        width = gives


def _widths(step: Step, width: int) -> tuple[int, int]:
    """Return the widths that a step takes and gives; `width` where it takes any."""
    if isinstance(step, Matrix | Recurrence):
        return step.weight.shape[1], step.weight.shape[0]
    if isinstance(step, Elementwise) and step.scale.ndim + step.shift.ndim:
        size = max(step.scale.size, step.shift.size)
        return size, size
    return width, width
