"""Loops over time, and several nodes that are one activation."""

from __future__ import annotations

from dataclasses import replace

from vle.compiler.frontend.body import body_steps
from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Elementwise, Matrix, Recurrence, Step

Sizes = tuple[Size, ...]
LOOPS = "each step a chain of dense layers, Elman layers and leaky integrators in raw operators"


@operator("Scan", "recurrent layers and leaky integrators, `tau_m` from what a step keeps", LOOPS)
def _scan(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    loop = operation.loop
    assert loop is not None
    time = loop.axis % len(frame.axes)
    axes = list(frame.axes)
    if frame.last_only or frame.time not in (None, time) or time == len(axes) - 1:
        raise operation.refuse(f"must walk along time, not along axis {time}")
    width = frame.width(operation)
    moving = axes.pop(time)
    steps = body_steps(loop, width, operation.node)
    axes[-1] = Axis(_outputs(steps, width), role="features")
    if loop.output_axis is None:
        note = f"{operation.node}: the answer is the output of a sequence's last step"
        found = _ranked(operation, replace(frame.with_axes(axes), last_only=True), sizes)
        return Reading(found, tuple(steps), note)
    axes.insert(loop.output_axis % (len(axes) + 1), replace(moving, role="time"))
    return Reading(_ranked(operation, frame.with_axes(axes), sizes), tuple(steps))


def _ranked(operation: Operation, frame: Frame, sizes: Sizes) -> Frame:
    """Insert or leave out axes of length 1 that steps of an unrolled loop add."""
    axes = list(frame.axes)
    while sizes and len(sizes) > len(axes):
        axes.insert(next((i for i, s in enumerate(sizes[:-1]) if s == 1), 0), Axis(1))
    if sizes and len(sizes) < len(axes):
        raise operation.refuse(f"must keep its {len(axes)} axes, not {len(sizes)}")
    return frame.with_axes(axes)


def _outputs(steps: list[Step], width: int) -> int:
    for step in reversed(steps):
        if isinstance(step, Matrix | Recurrence):
            return len(step.bias)
        if isinstance(step, Elementwise) and step.scale.ndim + step.shift.ndim:
            return max(step.scale.size, step.shift.size)
    return width


operator("(loop)", "as Scan", f"a loop that an exporter wrote out, over all frames; {LOOPS}")(_scan)


@operator(
    "(activation)",
    "an activation, or a scale and shift",
    "several element-by-element operators that together compute one, however they are written, "
    "such as `1 / (1 + exp(-x))` or `clip(x / 6 + 0.5, 0, 1)`",
)
def _activation(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    return Reading(frame, operation.steps)
