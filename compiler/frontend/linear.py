"""Operators that are linear in the signal: matrices, and arithmetic with constants."""

from __future__ import annotations

import numpy as np

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Elementwise, Floats, Matrix, Nonlinear
from vle.sim import Activation

Sizes = tuple[Size, ...]


@operator("Gemm", "layer", "signal first, transA = 0, constant weight and bias; any alpha, beta")
def _gemm(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.data_index != 0:
        raise operation.refuse("the signal must be the first operand")
    operation.require(transA=0)
    weight = _matrix(operation, operation.constant(1))
    weight = weight if operation.attributes.get("transB", 0) else weight.T
    weight = operation.attributes.get("alpha", 1.0) * weight
    bias = np.zeros(len(weight))
    if operation.constant(2) is not None:
        scale = operation.attributes.get("beta", 1.0)
        bias = bias + scale * _per_feature(operation, 2, frame, len(weight))
    return _layer(operation, frame, weight, bias)


@operator("MatMul", "layer", "signal first, constant weight of two axes")
def _matmul(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.data_index != 0:
        raise operation.refuse("the signal must be the first operand")
    weight = _matrix(operation, operation.constant(1)).T
    return _layer(operation, frame, weight, np.zeros(len(weight)))


def _layer(operation: Operation, frame: Frame, weight: Floats, bias: Floats) -> Reading:
    width = frame.width(operation)
    if weight.shape[1] != width:
        raise operation.refuse(f"weight must take {width} inputs, not {weight.shape[1]}")
    step = Matrix(operation.node, weight, bias)
    return Reading(frame.with_features(len(weight)), (step,))


def _matrix(operation: Operation, array: Floats | None) -> Floats:
    if array is None or array.ndim < 2 or array.size != np.prod(array.shape[-2:]):
        shape = None if array is None else array.shape
        raise operation.refuse(f"weight must be a matrix, not of shape {shape}")
    if not array.size:
        raise operation.refuse(f"weight must not be empty, not of shape {array.shape}")
    return array.reshape(array.shape[-2:]).astype(np.float64)


def _per_feature(operation: Operation, index: int, frame: Frame, width: int | None) -> Floats:
    """Constant operand as one number, or one number per feature."""
    array = operation.constant(index)
    if array is None:
        raise operation.refuse(f"input {index} must be a constant")
    if array.size == 1 and array.ndim <= len(frame.axes):
        return array.astype(np.float64).reshape(())
    width = frame.width(operation) if width is None else width
    if array.ndim > len(frame.axes) or array.shape[-1] != width or array.size != width:
        rule = f"constant must be one number or one for each of {width} features"
        raise operation.refuse(f"{rule}, not of shape {array.shape}")
    return array.astype(np.float64).reshape(width)


def _arithmetic(operation: Operation, frame: Frame, scale: Floats, shift: Floats) -> Reading:
    if scale.ndim + shift.ndim:
        frame = frame.with_features(frame.width(operation))
    return Reading(frame, (Elementwise(operation.node, scale, shift),))


@operator("Add", "bias of a layer", "constant: one number, or one per feature")
def _add(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    other = _per_feature(operation, 1 - operation.data_index, frame, None)
    return _arithmetic(operation, frame, np.array(1.0), other)


@operator("Sub", "bias of a layer", "constant: one number, or one per feature; on either side")
def _sub(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    other = _per_feature(operation, 1 - operation.data_index, frame, None)
    if operation.data_index == 0:
        return _arithmetic(operation, frame, np.array(1.0), -other)
    return _arithmetic(operation, frame, np.array(-1.0), other)


@operator("Mul", "scale of a layer's weights", "constant: one number, or one per feature")
def _mul(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    other = _per_feature(operation, 1 - operation.data_index, frame, None)
    return _arithmetic(operation, frame, other, np.array(0.0))


@operator("Div", "scale of a layer's weights", "by a constant: one number, or one per feature")
def _div(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.data_index != 0:
        raise operation.refuse("must divide by a constant, not by the signal")
    other = 1 / _per_feature(operation, 1, frame, None)
    return _arithmetic(operation, frame, np.asarray(other), np.array(0.0))


@operator("Neg", "sign of a layer's weights")
def _neg(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return _arithmetic(operation, frame, np.array(-1.0), np.array(0.0))


@operator("BatchNormalization", "folded into a layer", "inference; the frame on axis 1")
def _batch_normalization(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    operation.require(training_mode=0, spatial=1)
    if operation.data_index != 0 or operation.output_index != 0:
        raise operation.refuse("only the normalised signal may be used")
    width = frame.width(operation, 1 if len(frame.axes) > 1 else -1)
    arrays = [operation.constant(index) for index in range(1, 5)]
    shapes = [None if array is None else array.shape for array in arrays]
    if shapes != [(width,)] * 4:
        raise operation.refuse(f"constants must be of shape ({width},), not {shapes}")
    gain, offset, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    scale = gain / np.sqrt(variance + operation.attributes.get("epsilon", 1e-5))
    step = Elementwise(operation.node, scale, offset - scale * mean)
    return Reading(frame.with_features(width, 1 if len(frame.axes) > 1 else -1), (step,))


def clip_steps(node: str, low: float, high: float) -> tuple[Elementwise | Nonlinear, ...]:
    """Return the steps that limit a signal to `low..high`, infinite where there is no limit."""
    if (low, high) == (-1, 1):
        return (Nonlinear(node, Activation("hard_tanh")),)
    if (low, high) == (0, 1):
        return (Nonlinear(node, Activation("hard_sigmoid", alpha=1.0, beta=0.0)),)
    if np.isinf(low) and np.isinf(high):
        return ()
    if np.isinf(high):
        sign, origin, size, phi = 1.0, low, 1.0, "relu"
    elif np.isinf(low):
        sign, origin, size, phi = -1.0, high, 1.0, "relu"
    else:
        sign, origin, size, phi = 1.0, (low + high) / 2, (high - low) / 2, "hard_tanh"
    scale = np.array(sign / size)
    before = Elementwise(node, scale, -scale * origin)
    after = Elementwise(node, np.array(sign * size), np.array(origin))
    inner = Nonlinear(node, Activation(phi))
    return (inner,) if (sign, origin, size) == (1, 0, 1) else (before, inner, after)
