"""Last pass: steps to layers, arithmetic folded into the weights beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vle.compiler.frontend.grids import exact_grid, grid_of, scaled_layer, weight_step
from vle.compiler.frontend.steps import (
    Elementwise,
    Floats,
    Matrix,
    Nonlinear,
    Recurrence,
    Rounding,
    Step,
    identity,
)
from vle.compiler.quantization.given import LayerGrid, RateGrid
from vle.errors import CompileError
from vle.sim import Activation, Layer

IDENTITY = Activation("identity")
ONE = np.array(1.0)
FULL = 2.0  # potential at which bent functions are nearly at their end


def build_layers(steps: Iterable[Step], inputs: int) -> Built:
    """Make layers, and notes on those that the model does not show.

    A matrix and the activation after it are one layer. Scales and shifts join the matrix before or
    after them; where there is none, an identity matrix takes its place.

    Raises
    ------
    CompileError
        If a layer is not valid; the message names its node.
    """
    builder = _Builder(inputs)
    for step in steps:
        builder.add(step)
    builder.finish()
    grids = tuple(
        replace(grid, weight_step=weight_step(layer)) if builder.is_quantized else grid
        for layer, grid in zip(builder.layers, builder.grids, strict=True)
    )
    return Built(tuple(builder.layers), grids, builder.input_grid, tuple(builder.notes))


class Built(NamedTuple):
    """Layers, the grids that their model asks for, that of its inputs, and notes."""

    layers: tuple[Layer, ...]
    grids: tuple[LayerGrid, ...]
    inputs: RateGrid | None
    notes: tuple[str, ...]


class _Builder:
    """Layers so far, and the linear map that waits for its activation."""

    def __init__(self, inputs: int) -> None:
        self.width = inputs
        self.layers: list[Layer] = []
        self.grids: list[LayerGrid] = []
        self.input_grid: RateGrid | None = None
        self.is_quantized = False
        self.notes: list[str] = []
        self.pending: Matrix | Elementwise | None = None
        self.rounding: Rounding | None = None
        self.unit = 1.0  # what the rates of the last layer are multiplied with

    def add(self, step: Step) -> None:
        """Take one more step."""
        if isinstance(step, Rounding):
            self.is_quantized = True
            self.leave_out("of the potential before its activation")
            self.rounding = step
        elif isinstance(step, Nonlinear):
            self.leave_out("of the potential before its activation")
            self.emit(step.activation, step.node)
        else:
            self.settle(last=False)
            self.take(step)

    def take(self, step: Elementwise | Matrix | Recurrence) -> None:
        """Take a linear step, or a layer with a memory."""
        if isinstance(step, Elementwise):
            self.pending = _then(self.pending, step)
            return
        if isinstance(self.pending, Matrix) and not (_is_thin(self.pending) or _is_thin(step)):
            self.emit(IDENTITY, self.pending.node)
        whole, self.pending = _after(self.pending, step), None
        if isinstance(whole, Recurrence):
            self.remember(whole)
        else:
            self.pending = whole

    def remember(self, step: Recurrence) -> None:
        """Add a layer with a memory, and drop the neuron that an initial state costs."""
        if step.start is None or not np.any(step.start):
            self.append(step, step.activation, step.recurrent, step.alpha, step.rho)
            return
        outputs = len(step.bias)
        self.append(*_started(step))
        self.pending = Matrix(step.node, np.eye(outputs, outputs + 1), np.zeros(outputs))
        note = "its initial state costs one neuron more, which is 0 before the first step only"
        self.notes.append(f"{step.node}: {note}")

    def settle(self, *, last: bool) -> None:
        """Put a rounding that waits on the grid of the layer before it, where that can be."""
        rounding = self.rounding
        if rounding is None:
            return
        self.rounding = None
        if isinstance(self.pending, Matrix):
            phi = Activation("relu") if rounding.low == 0 else IDENTITY
            self.emit(phi, self.pending.node)
        if not self.layers and self.pending is None:
            self.input_grid = exact_grid(rounding)
            if self.input_grid is None:
                self.refine(rounding, "of the inputs")
            return
        grid = grid_of(rounding, self.layers[-1], last=last) if self.pending is None else None
        if grid is None:
            what = (
                "of the outputs"
                if last
                else f"of {self.layers[-1].activation.name if self.layers else ''}"
            )
            self.refine(rounding, what)
            if self.layers and self.pending is None:
                ends = rounding.step * rounding.low, rounding.step * rounding.high
                self.grids[-1] = LayerGrid(limits=ends)
            return
        self.layers[-1], self.unit = scaled_layer(self.layers[-1], grid.step / rounding.step)
        self.grids[-1] = LayerGrid(rate=grid)
        if self.unit != 1:
            self.pending = Elementwise(rounding.node, np.array(1 / self.unit), np.array(0.0))

    def leave_out(self, what: str) -> None:
        """Forget a rounding that waits, and say so."""
        if self.rounding is not None:
            self.refine(self.rounding, what)
            self.rounding = None

    def refine(self, rounding: Rounding, what: str) -> None:
        text = f"rounding {what} to steps of {rounding.step:.3g} left out: the chip's are its own"
        self.notes.append(f"{rounding.node}: {text}")

    def finish(self) -> None:
        """Emit what is left, unless it changes nothing."""
        self.settle(last=True)
        pending = self.pending
        trivial = (
            isinstance(pending, Elementwise)
            and np.all(pending.scale == 1)
            and not pending.shift.any()
        )
        if pending is not None and not (trivial and self.layers):
            self.emit(IDENTITY, pending.node)

    def emit(self, activation: Activation, node: str) -> None:
        """Close the layer that waits, or make one of an identity matrix."""
        pending = self.pending
        if not isinstance(pending, Matrix):
            nothing = Elementwise(node, np.array(1.0), np.array(0.0))
            pending = _as_matrix(pending or nothing, self.width)
            self.notes.append(f"{node}: an identity matrix of {self.width} makes it a layer")
        self.append(pending, activation, None)
        self.pending = None

    def append(
        self,
        step: Matrix | Recurrence,
        phi: Activation,
        recurrent: Floats | None,
        alpha: Floats = ONE,
        rho: Floats = ONE,
    ) -> None:
        """Add a layer in steps of 1, so that `tau_m = 1 / alpha` and `tau_r = rho tau_m`."""
        tau_m = np.broadcast_to(1 / alpha, step.bias.shape)
        tau_r = np.where(rho == alpha, 1.0, rho / alpha)
        tau_r = np.broadcast_to(tau_r, step.bias.shape)
        try:
            self.grids.append(LayerGrid())
            self.layers.append(Layer(step.weight, step.bias, tau_m, tau_r, phi, recurrent))
        except ValueError as error:
            raise CompileError(str(error), node=step.node) from error
        self.width = len(step.bias)


def _then(before: Matrix | Elementwise | None, step: Elementwise) -> Matrix | Elementwise:
    """Scale and shift after a linear map."""
    if before is None:
        return step
    if isinstance(before, Elementwise):
        shift = step.scale * before.shift + step.shift
        return Elementwise(step.node, step.scale * before.scale, np.asarray(shift))
    weight = np.atleast_1d(step.scale)[:, None] * before.weight
    return Matrix(before.node, weight, step.scale * before.bias + step.shift)


def _is_thin(step: Matrix | Recurrence) -> bool:
    """Say whether a matrix only picks and scales, so that it costs nothing to multiply with it."""
    return bool(np.all(np.count_nonzero(step.weight, axis=1) <= 1))


def _started(step: Recurrence) -> tuple[Recurrence, Activation, Floats, Floats, Floats]:
    """Add a neuron that is 0 before the first step and the same in all others.

    With its rate `c` from the first step on, `start - (start / c) * c(t - 1)` is `start` in the
    first step and 0 later.
    """
    assert step.start is not None
    count, start = len(step.bias), np.broadcast_to(step.start, step.bias.shape)
    drive = 1.0 if step.activation.name in ("identity", "leaky_relu", "relu") else FULL
    rate = float(step.activation(np.array([drive]))[0])
    if abs(rate) < 0.1:
        rule = f"initial state must be 0 for {step.activation}, which is small at {drive:g}"
        raise CompileError(rule, node=step.node)
    recurrent = np.zeros((count + 1, count + 1))
    recurrent[:count, :count] = 0.0 if step.recurrent is None else step.recurrent
    recurrent[:count, count] = -start / rate
    weight = np.vstack([step.weight, np.zeros((1, step.weight.shape[1]))])
    bias = np.append(step.bias + start, drive)
    alpha, rho = (np.append(np.broadcast_to(a, count), 1.0) for a in (step.alpha, step.rho))
    whole = replace(step, weight=weight, bias=bias, recurrent=recurrent)
    return whole, step.activation, recurrent, alpha, rho


def _after(before: Matrix | Elementwise | None, step: Matrix | Recurrence) -> Matrix | Recurrence:
    """Scale and shift, or a matrix that only picks, before a matrix."""
    if isinstance(before, Matrix):
        bias = step.bias + step.weight @ before.bias
        return replace(step, weight=step.weight @ before.weight, bias=bias)
    if before is None:
        return step
    shift = np.broadcast_to(before.shift, step.weight.shape[1])
    return replace(step, weight=step.weight * before.scale, bias=step.bias + step.weight @ shift)


def _as_matrix(step: Matrix | Elementwise, width: int) -> Matrix:
    """Write a scale and a shift as a diagonal matrix."""
    if isinstance(step, Matrix):
        return step
    weight = identity(step.node, width) * step.scale
    return Matrix(step.node, weight, np.broadcast_to(step.shift, width))
