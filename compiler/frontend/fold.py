"""Constant folding: nodes that depend on nothing but stored numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper
from onnx.reference import ReferenceEvaluator

BROADCAST = frozenset(("Add", "Div", "Mul", "Pow", "Sub"))
SPREAD = frozenset(("ConstantOfShape", "Expand"))
BOUNDED = BROADCAST | SPREAD | {"Abs", "Cast", "Concat", "Constant", "DequantizeLinear", "Exp"}
BOUNDED |= {"Gather", "Identity", "Log", "Neg", "QuantizeLinear", "Reciprocal", "Reshape", "Shape"}
BOUNDED |= {"Clip", "Slice", "Sqrt", "Squeeze", "Transpose", "Unsqueeze"}
LIMIT = 2**26  # elements of a result, so that no small file can fill the memory
QONNX = "qonnx.custom_op.general"


def fold(
    node: NodeProto, constants: dict[str, NDArray[Any]], opset: int
) -> dict[str, NDArray[Any]]:
    """Compute a node; empty where the node is not one to fold or cannot be computed."""
    operands = {name: constants[name] for name in node.input if name}
    try:
        if (node.domain, node.op_type) == (QONNX, "Quant"):
            return {node.output[0]: _quant(node, constants)}
        if node.domain not in ("", "ai.onnx") or node.op_type not in BOUNDED:
            return {}
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
    if node.op_type in SPREAD:
        shape = [max(float(size), 1.0) for size in operands[-1].ravel()]
        return float(np.prod(shape)) * float(operands[0].size if node.op_type == "Expand" else 1)
    if node.op_type in BROADCAST:
        shape_of = np.broadcast_shapes(*(array.shape for array in operands))
        return float(np.prod(shape_of, dtype=float))
    if node.op_type == "Gather":
        return float(np.prod([max(array.size, 1) for array in operands], dtype=float))
    return float(sum(array.size for array in operands))


def _quant(node: NodeProto, constants: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """QONNX's `Quant` of a constant: `s * (clip(round(x / s + z)) - z)`."""
    x, scale, zero, bits = (constants[name].astype(np.float64) for name in node.input)
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    signed, narrow = given.get("signed", 1), given.get("narrow", 0)
    low = -(2 ** (bits - 1)) + narrow if signed else 0.0 * bits
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    return np.asarray((np.clip(np.round(x / scale + zero), low, high) - zero) * scale)
