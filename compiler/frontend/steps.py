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
    """A layer with a memory: Elman's, a leaky integrator, or both.

    In each step `I = W x + R r + b`, `r = phi(u + rho (I - u))`, `u <- u + alpha (I - u)` from
    `u = r = 0`; `alpha = rho = 1` is `r_t = phi(W x_t + R r_(t-1) + b)`, the Elman layer of ONNX.

    Parameters
    ----------
    node
        Its label.
    weight, recurrent, bias
        `(out, in)`, `(out, out)` or None, `(out,)`.
    activation
        `phi`.
    alpha, rho
        One for all, or `(out,)`; `0 < alpha <= rho`.
    start
        What is added to `I` in the first step, `(out,)`: what an initial state other than 0 makes.
    """

    node: str
    weight: Floats = field(repr=False)
    recurrent: Floats | None = field(repr=False)
    bias: Floats = field(repr=False)
    activation: Activation
    alpha: Floats = field(default_factory=lambda: np.array(1.0), repr=False)
    rho: Floats = field(default_factory=lambda: np.array(1.0), repr=False)
    start: Floats | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Rounding:
    """`y = step * clip(round(x / step), low, high)`, of a model that is quantised already."""

    node: str
    step: float
    low: int
    high: int


Step = Matrix | Elementwise | Nonlinear | Recurrence | Rounding


WIDEST = 2**12  # of an identity matrix, which no file stores


def identity(node: str, width: int) -> Floats:
    """Return the matrix that changes nothing, where one must be made up.

    Raises
    ------
    CompileError
        If a small file could fill the memory with it.
    """
    if width > WIDEST:
        rule = f"frame must be at most {WIDEST} wide where no matrix acts on it, not {width}"
        raise CompileError(rule, node=node)
    return np.eye(width)


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
