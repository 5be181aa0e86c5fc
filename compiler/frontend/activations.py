"""Operators that are activation functions, and limits that can be written as one."""

from __future__ import annotations

import numpy as np

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.linear import clip_steps
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Nonlinear
from vle.sim import Activation

Sizes = tuple[Size, ...]
LARGEST = float(np.finfo(np.float32).max)  # stands for "no limit" in old opsets


def _nonlinear(operation: Operation, frame: Frame, name: str, **constants: float) -> Reading:
    try:
        activation = Activation(name, **constants)
    except ValueError as error:
        raise operation.refuse(str(error)) from error
    return Reading(frame, (Nonlinear(operation.node, activation),))


@operator("Relu", "activation `relu`")
def _relu(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return _nonlinear(operation, frame, "relu")


@operator("Tanh", "activation `tanh`")
def _tanh(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return _nonlinear(operation, frame, "tanh")


@operator("Sigmoid", "activation `sigmoid`")
def _sigmoid(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return _nonlinear(operation, frame, "sigmoid")


@operator("Softplus", "activation `softplus`")
def _softplus(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return _nonlinear(operation, frame, "softplus")


@operator("LeakyRelu", "activation `leaky_relu`", "any alpha")
def _leaky_relu(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    alpha = operation.attributes.get("alpha", 0.01)
    return _nonlinear(operation, frame, "leaky_relu", alpha=alpha)


@operator("PRelu", "activation `leaky_relu`", "constant slope, the same for all features")
def _prelu(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    slope = operation.constant(1)
    if operation.data_index != 0 or slope is None or not slope.size or np.ptp(slope) != 0:
        raise operation.refuse("slope must be constant and the same for all features")
    return _nonlinear(operation, frame, "leaky_relu", alpha=float(slope.flat[0]))


@operator("HardSigmoid", "activation `hard_sigmoid`", "any alpha, beta")
def _hard_sigmoid(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    attributes = operation.attributes
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return _nonlinear(operation, frame, "hard_sigmoid", alpha=alpha, beta=beta)


@operator(
    "Clip",
    "activation `hard_tanh` for -1..1, `hard_sigmoid` for 0..1, `relu` for 0 and up; else one of "
    "them, shifted and scaled by the neighbouring weights",
    "constant limits",
)
def _clip(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.data_index != 0:
        raise operation.refuse("limits must be constants")
    low = operation.number(1, operation.attributes.get("min", -np.inf))
    high = operation.number(2, operation.attributes.get("max", np.inf))
    return _limits(operation, frame, low, high)


@operator("Max", "as Clip", "with one constant number")
def _max(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if len(operation.operands) != 2:
        raise operation.refuse(f"must have two operands, not {len(operation.operands)}")
    return _limits(operation, frame, operation.number(1 - operation.data_index, 0), np.inf)


@operator("Min", "as Clip", "with one constant number")
def _min(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if len(operation.operands) != 2:
        raise operation.refuse(f"must have two operands, not {len(operation.operands)}")
    return _limits(operation, frame, -np.inf, operation.number(1 - operation.data_index, 0))


def _limits(operation: Operation, frame: Frame, low: float, high: float) -> Reading:
    low, high = (np.copysign(np.inf, a) if abs(a) >= LARGEST else a for a in (low, high))
    if not low < high:
        raise operation.refuse(f"limits must be in ascending order, not {low}..{high}")
    return Reading(frame, clip_steps(operation.node, low, high))
