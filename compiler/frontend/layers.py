"""Last pass: steps to layers, arithmetic folded into the weights beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from vle.compiler.frontend.steps import Elementwise, Floats, Matrix, Nonlinear, Recurrence, Step
from vle.errors import CompileError
from vle.sim import Activation, Layer

IDENTITY = Activation("identity")


def build_layers(steps: Iterable[Step], inputs: int) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Make layers of instantaneous neurons, and notes on those that the model does not show.

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
    return tuple(builder.layers), tuple(builder.notes)


class _Builder:
    """Layers so far, and the linear map that waits for its activation."""

    def __init__(self, inputs: int) -> None:
        self.width = inputs
        self.layers: list[Layer] = []
        self.notes: list[str] = []
        self.pending: Matrix | Elementwise | None = None

    def add(self, step: Step) -> None:
        """Take one more step."""
        if isinstance(step, Elementwise):
            self.pending = _then(self.pending, step)
        elif isinstance(step, Nonlinear):
            self.emit(step.activation, step.node)
        else:
            if isinstance(self.pending, Matrix):
                self.emit(IDENTITY, self.pending.node)
            whole, self.pending = _after(self.pending, step), None
            if isinstance(whole, Recurrence):
                self.append(whole, whole.activation, whole.recurrent)
            else:
                self.pending = whole

    def finish(self) -> None:
        """Emit what is left, unless it changes nothing."""
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

    def append(self, step: Matrix | Recurrence, phi: Activation, recurrent: Floats | None) -> None:
        """Add a layer of neurons without memory."""
        ones = np.ones(len(step.bias))
        try:
            self.layers.append(Layer(step.weight, step.bias, ones, ones, phi, recurrent))
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


def _after(before: Matrix | Elementwise | None, step: Matrix | Recurrence) -> Matrix | Recurrence:
    """Scale and shift before a matrix."""
    if not isinstance(before, Elementwise):
        return step
    shift = np.broadcast_to(before.shift, step.weight.shape[1])
    return replace(step, weight=step.weight * before.scale, bias=step.bias + step.weight @ shift)


def _as_matrix(step: Matrix | Elementwise, width: int) -> Matrix:
    """Write a scale and a shift as a diagonal matrix."""
    if isinstance(step, Matrix):
        return step
    weight = np.diag(np.broadcast_to(step.scale, width))
    return Matrix(step.node, weight, np.broadcast_to(step.shift, width))
