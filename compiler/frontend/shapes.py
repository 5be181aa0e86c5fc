"""Operators that leave the numbers of a frame as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size, regroup
from vle.compiler.frontend.registry import Reading, operator

Sizes = tuple[Size, ...]
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


@operator("Identity", "nothing")
def _identity(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return Reading(frame)


@operator("Dropout", "nothing", "inference")
def _dropout(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.output_index != 0:
        raise operation.refuse("the mask must not be used")
    training = operation.constant(2)
    if training is not None and np.any(training):
        raise operation.refuse("training_mode must be false")
    return Reading(frame)


@operator("Cast", "nothing", "to a floating-point type")
def _cast(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.attributes.get("to") not in FLOATS and not frame.ended:
        raise operation.refuse("must cast to a floating-point type")
    return Reading(frame)


def _rearranged(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    """Axes after an operator that keeps the order of all elements."""
    if operation.data_index != 0:
        raise operation.refuse("the shape must be a constant")
    axes = regroup(operation, frame.axes, sizes)
    return Reading(_keep_single_feature(operation, frame, axes))


def _keep_single_feature(operation: Operation, frame: Frame, axes: list[Axis]) -> Frame:
    """Find the axis of a frame of one feature again, or let nothing act on it any more."""
    if frame.features is None or frame.axes[frame.features].size != 1:
        return frame.with_axes(axes)
    single = [index for index, axis in enumerate(axes) if axis.size == 1]
    if not single:
        return replace(
            frame.with_axes(axes), ended=f"{operation.node} has removed the frame's axis"
        )
    axes[single[-1]] = frame.axes[frame.features]
    return frame.with_axes(axes)


for _name in ("Flatten", "Reshape", "Squeeze", "Unsqueeze"):
    operator(_name, "nothing", "each frame stays as it is, in the order of its elements")(
        _rearranged
    )


@operator("Transpose", "nothing", "moves whole axes, such as batch and time")
def _transpose(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    order = operation.attributes.get("perm", list(range(len(frame.axes)))[::-1])
    if sorted(order) != list(range(len(frame.axes))):
        raise operation.refuse(f"perm must name every axis once, not {list(order)}")
    return Reading(frame.with_axes([frame.axes[axis] for axis in order]))


@operator("Gather", "nothing", "the last step of an RNN's output, index -1")
def _gather(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    index = operation.constant(1)
    axis = operation.attributes.get("axis", 0) % len(frame.axes)
    if operation.data_index != 0 or index is None or index.size != 1:
        raise operation.refuse("must take the last step of a sequence")
    _require_last(operation, frame, axis, int(index.flat[0]))
    unit = [Axis(1)] * index.ndim
    return _last_step(operation, frame, [*frame.axes[:axis], *unit, *frame.axes[axis + 1 :]])


@operator("Slice", "nothing", "the last step of an RNN's output, from -1 on")
def _slice(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    if operation.data_index != 0:
        raise operation.refuse("must take the last step of a sequence")
    defaults = {"starts": 0, "ends": 0, "axes": 0, "steps": 1}
    start, end, axis, step = (
        _bound(operation, index, name, default)
        for index, (name, default) in enumerate(defaults.items(), start=1)
    )
    axis %= len(frame.axes)
    _require_last(operation, frame, axis, start)
    length = frame.axes[axis].size
    if step != 1 or end < (length if isinstance(length, int) else 2**31 - 1):
        raise operation.refuse("must take the last step of a sequence, up to its end")
    return _last_step(operation, frame, [*frame.axes[:axis], Axis(1), *frame.axes[axis + 1 :]])


def _bound(operation: Operation, index: int, name: str, default: int) -> int:
    """Read one bound of a slice: an attribute in old opsets, an input in new ones."""
    given = operation.attributes.get(name)
    array = np.array(given) if given is not None else operation.constant(index)
    if array is None:
        return default
    if array.size != 1:
        raise operation.refuse("must take the last step of a sequence")
    return int(array.flat[0])


def _require_last(operation: Operation, frame: Frame, axis: int, index: int) -> None:
    length = frame.axes[axis].size
    if axis != frame.time or index not in (-1, length - 1 if isinstance(length, int) else -1):
        raise operation.refuse("must take the last step of a sequence that an RNN computed")


def _last_step(operation: Operation, frame: Frame, axes: list[Axis]) -> Reading:
    note = f"{operation.node}: the answer is the output of a sequence's last step"
    return Reading(replace(frame.with_axes(axes), last_only=True), note=note)
