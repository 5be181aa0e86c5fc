"""Operators at the end that turn scores into probabilities or classes: left to the host."""

from __future__ import annotations

from dataclasses import replace

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size
from vle.compiler.frontend.registry import Reading, operator

LIMITS = "at the end, over the features"


def _host_side(operation: Operation, frame: Frame, sizes: tuple[Size, ...]) -> Reading:
    old = operation.opset < 13
    default = 0 if operation.operator == "ArgMax" else 1 if old else -1
    axis = operation.attributes.get("axis", default) % len(frame.axes)
    if axis != (len(frame.axes) - 1 if frame.features is None else frame.features):
        raise operation.refuse(f"must be over the features, not over axis {axis}")
    if old and operation.operator != "ArgMax" and axis != len(frame.axes) - 1:
        raise operation.refuse("must be over the last axis")
    operation.require(select_last_index=0)
    axes = list(frame.axes)
    if operation.operator == "ArgMax":
        axes[axis : axis + 1] = [Axis(1)] * operation.attributes.get("keepdims", 1)
    note = f"{operation.node} is left to the host: outputs are its input, the largest stays largest"
    ended = replace(frame.with_axes(axes), ended=f"{operation.node} must be the last")
    return Reading(ended, note=note)


for _name in ("Softmax", "LogSoftmax", "ArgMax"):
    operator(_name, "nothing: the outputs are the scores before it, and a note says so", LIMITS)(
        _host_side
    )
