"""Constant folding: nodes that depend on nothing but stored numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from onnx.reference import ReferenceEvaluator

BROADCAST = frozenset(("Add", "Div", "Mul", "Pow", "Sub"))
BOUNDED = BROADCAST | {"Cast", "Concat", "Constant", "Exp", "Gather", "Identity", "Log", "Neg"}
BOUNDED |= {"Reciprocal", "Reshape", "Shape", "Slice", "Sqrt", "Squeeze", "Transpose", "Unsqueeze"}
LIMIT = 2**26  # elements of a result, so that no small file can fill the memory


def fold(
    node: NodeProto, constants: dict[str, NDArray[Any]], opset: int
) -> dict[str, NDArray[Any]]:
    """Compute a node; empty where the node is not one to fold or cannot be computed."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in BOUNDED:
        return {}
    operands = {name: constants[name] for name in node.input if name}
    try:
        if _result_size(node, list(operands.values())) > LIMIT:
            return {}
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(node, opsets={"": opset}).run(None, operands)
    except Exception:  # refused by name where the value is needed
        return {}
    return {
        name: np.asarray(array)
        for name, array in zip(node.output, results, strict=False)
        if name and isinstance(array, np.ndarray | np.generic)
    }


def _result_size(node: NodeProto, operands: list[NDArray[Any]]) -> float:
    """Bound the number of elements that a node computes."""
    if node.op_type in BROADCAST:
        shape = np.broadcast_shapes(*(array.shape for array in operands))
        return float(np.prod(shape, dtype=float))
    if node.op_type == "Gather":
        return float(np.prod([max(array.size, 1) for array in operands], dtype=float))
    return float(sum(array.size for array in operands))
