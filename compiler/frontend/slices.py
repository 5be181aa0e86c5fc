"""Frames of a sequence, taken one by one, and what nodes compute of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from onnx.reference import ReferenceEvaluator

from vle.compiler.frontend.graph import Graph, attributes_of


class Slice(NamedTuple):
    """Frame `t` of a sequence."""

    sequence: str
    axis: int
    t: int


def slice_of(graph: Graph, name: str) -> Slice | None:
    """Read a value as one frame of a sequence; None where it is none."""
    node = graph.producers.get(name)
    while node is not None and node.op_type in ("Squeeze", "Reshape") and name in graph.signals:
        before = graph.producers.get(node.input[0])
        if before is None or before.op_type not in ("Slice", "Gather", "Split"):
            return None
        name, node = node.input[0], before
    if node is None or name not in graph.signals or node.input[0] not in graph.signals:
        return None
    size = graph.sizes.get(node.input[0])
    if size is None:
        return None
    found = _frame(graph, node, name)
    if found is None:
        return None
    axis, t = found[0] % len(size), found[1]
    length = size[axis]
    if axis == len(size) - 1 or not isinstance(length, int):
        return None
    return Slice(node.input[0], axis, t % length)


def _frame(graph: Graph, node: NodeProto, name: str) -> tuple[int, int] | None:
    """Axis and position of the one frame that a node takes."""
    attributes = attributes_of(node)
    constants = [graph.constants.get(n) for n in node.input[1:]]
    if any(array is None and n for array, n in zip(constants, node.input[1:], strict=True)):
        return None
    if node.op_type == "Gather" and constants[0] is not None and constants[0].size == 1:
        return attributes.get("axis", 0), int(constants[0].flat[0])
    if node.op_type == "Split":
        sizes = attributes.get("split") or (constants[0] if constants else None)
        parts = [1] * len(node.output) if sizes is None else list(sizes)
        whole = attributes.get("axis", 0), list(node.output).index(name)
        return whole if set(parts) == {1} else None
    return _sliced(attributes, constants) if node.op_type == "Slice" else None


def _sliced(
    attributes: dict[str, Any], constants: list[NDArray[Any] | None]
) -> tuple[int, int] | None:
    given = [attributes.get(key) for key in ("starts", "ends", "axes")]
    arrays = [
        np.asarray(a if a is not None else c)
        for a, c in zip(given, [*constants, None, None][:3], strict=True)
    ]
    if any(array.dtype == object or array.size != 1 for array in arrays):
        return None
    start, end, axis = (int(array.flat[0]) for array in arrays)
    return (axis, start) if end == start + 1 or (start == -1 and end >= 2**31 - 1) else None


def evaluate(graph: Graph, value: str, known: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Compute a value from others in double precision, node by node."""
    stack, values = [value], dict(known)
    while stack:
        name = stack[-1]
        if name in values:
            stack.pop()
            continue
        if name in graph.constants:
            array = graph.constants[name]
            values[name] = array.astype(np.float64) if array.dtype.kind == "f" else array
            continue
        node = graph.producers[name]
        missing = [n for n in node.input if n and n not in values]
        if missing:
            stack += missing
            continue
        inputs = {n: values[n] for n in node.input if n}
        results = ReferenceEvaluator(node, opsets={"": graph.opset}).run(None, inputs)
        values.update({n: np.asarray(r) for n, r in zip(node.output, results, strict=False)})
    return values[value]
