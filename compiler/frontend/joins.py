"""Branches that meet again before anything bends them: one matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size
from vle.compiler.frontend.registry import Reading, find, operator
from vle.compiler.frontend.steps import Elementwise, Floats, Matrix, Step, identity
from vle.errors import CompileError

Sizes = tuple[Size, ...]


def read_branch(
    branch: tuple[Operation, ...], frame: Frame, sizes: dict[str, Sizes]
) -> tuple[Frame, tuple[Step, ...]]:
    """Read the operations of a branch."""
    steps: list[Step] = []
    for operation in branch:
        reading = find(operation).read(operation, frame, sizes.get(operation.output, ()))
        if frame.ended and reading.steps:
            raise operation.refuse(f"nothing may follow: {frame.ended}")
        frame, steps = reading.frame, [*steps, *reading.steps]
    return frame, tuple(steps)


def join(operation: Operation, frames: dict[str, Frame], sizes: dict[str, Sizes]) -> Reading:
    """Read the operation that joins several inputs, or several branches of one value.

    Parameters
    ----------
    operation
        With its branches.
    frames
        Of what the branches start from, by name; in the order of the frame that the chip gets.
    sizes
        Of all values.
    """
    rule = operation.attributes["rule"]
    starts = operation.attributes["starts"] if not operation.source else None
    columns, total = _columns(operation, frames)
    identity(operation.node, total)
    parts, ends = [], []
    for index, branch in enumerate(operation.branches):
        start = starts[index] if starts else operation.source
        end, steps = read_branch(branch, frames[start], sizes)
        if end.last_only or not end.axes:
            raise operation.refuse(rule)
        weight, bias = _matrix(operation, steps, columns[start][1], rule)
        first, width = columns[start]
        is_last = end.features in (None, len(end.axes) - 1)
        if weight.shape != (end.axes[-1].size, width) or not is_last:
            raise operation.refuse(rule)
        whole = np.zeros((len(bias), total))
        whole[:, first : first + width] = weight
        parts.append((whole, bias))
        ends.append(end)
    weight, bias = _joined(operation, parts, ends)
    axes = [*ends[0].axes[:-1], Axis(len(bias), role="features")]
    return Reading(replace(ends[0], axes=tuple(axes)), (Matrix(operation.node, weight, bias),))


def _columns(
    operation: Operation, frames: dict[str, Frame]
) -> tuple[dict[str, tuple[int, int]], int]:
    """First column and number of columns of each start, and how many there are."""
    columns, first = {}, 0
    for name, frame in frames.items():
        width = frame.width(operation)
        columns[name] = (first, width)
        first += width
    return columns, first


def _matrix(
    operation: Operation, steps: tuple[Step, ...], width: int, rule: str
) -> tuple[Floats, Floats]:
    """Return steps as one matrix and a bias."""
    weight, bias = identity(operation.node, width), np.zeros(width)
    for step in steps:
        if isinstance(step, Matrix):
            weight, bias = step.weight @ weight, step.weight @ bias + step.bias
        elif isinstance(step, Elementwise):
            scale = np.broadcast_to(step.scale, len(bias))
            weight, bias = scale[:, None] * weight, scale * bias + step.shift
        else:
            raise operation.refuse(rule)
    return weight, bias


def _joined(
    operation: Operation, parts: list[tuple[Floats, Floats]], ends: list[Frame]
) -> tuple[Floats, Floats]:
    kind = operation.operator.removeprefix("(join ").removesuffix(")")
    if len({len(end.axes) for end in ends}) != 1:
        raise operation.refuse("branches must have the same number of axes")
    if kind == "Concat":
        axis = operation.attributes["axis"] % len(ends[0].axes)
        if axis != len(ends[0].axes) - 1:
            raise operation.refuse(f"must join frames along the last axis, not along {axis}")
        weights, biases = zip(*parts, strict=True)
        return np.vstack(weights), np.concatenate(biases)
    if len({len(bias) for _, bias in parts}) != 1:
        raise operation.refuse("branches must be of the same width")
    signs = [1.0, -1.0] if kind == "Sub" else [1.0] * len(parts)
    weight = sum((s * w for s, (w, _) in zip(signs, parts, strict=True)), np.zeros(()))
    bias = sum((s * b for s, (_, b) in zip(signs, parts, strict=True)), np.zeros(()))
    return weight, bias


def _unread(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    raise CompileError(operation.attributes["rule"], node=operation.node)


for _kind, _text in (
    ("Concat", "along the features"),
    ("Add", "sums"),
    ("Sub", "differences"),
    ("Sum", "sums"),
):
    operator(
        f"(join {_kind})",
        "one matrix over all of them",
        f"{_text} of several inputs, or of branches of one value, that are linear up to there",
    )(_unread)
