"""Several elementwise nodes that are one activation together, by what they compute."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto
from onnx.reference import ReferenceEvaluator

from vle.compiler.frontend.graph import Graph, attributes_of, domain_of, label
from vle.compiler.frontend.recognize import POINTS, look_alike, recognize
from vle.compiler.frontend.steps import Step
from vle.errors import CompileError

Floats = NDArray[np.float64]
LONGEST = 40  # nodes of one activation
LIMITS = ("Clip", "Max", "Min", "Relu")

MAPPED = frozenset(
    ("Add", "Cast", "Clip", "Div", "HardSigmoid", "Identity", "LeakyRelu", "Max", "Min", "Mul")
) | {"Neg", "PRelu", "Relu", "Sigmoid", "Softplus", "Sub", "Tanh"}
OTHERS = frozenset(
    ("Abs", "And", "Celu", "Elu", "Equal", "Erf", "Exp", "Gelu", "Greater", "GreaterOrEqual")
) | {"HardSwish", "Less", "LessOrEqual", "Log", "Mean", "Mish", "Not", "Or", "Pow", "Reciprocal"}
OTHERS |= {"Selu", "Sign", "Softsign", "Sqrt", "Sum", "Swish", "ThresholdedRelu", "Where"}


class Found(NamedTuple):
    """Steps from a value."""

    source: str
    steps: tuple[Step, ...]


def find_activation(graph: Graph, value: str) -> Found | None:
    """Find the fewest nodes before a value that compute an activation function.

    The function is evaluated in double precision, so that it does not matter how it is written.

    Returns
    -------
    None where the node can be read by itself, or where nothing is recognised.

    Raises
    ------
    CompileError
        Where the function has a name but no circuit.
    """
    node = graph.producers[value]
    if not _is_elementwise(graph, node):
        return None
    inside = [node]
    if _is_plain(graph, node):
        before = _limit_before(graph, node)
        if before is None:
            return None
        inside.append(before)
    border = _signals(graph, inside[-1])
    while border and len(inside) <= LONGEST:
        if len(border) == 1:
            source = next(iter(border))
            y = _evaluate(graph, inside, source, value)
            if y is not None and (steps := recognize(label(node), y)):
                return Found(source, steps)
            if y is not None and len(inside) > 1 and (name := look_alike(y)):
                rule = f"{name} cannot be mapped: it multiplies signals or bends as no circuit does"
                raise CompileError(f"{rule}; use Softplus, Relu or HardSigmoid", node=label(node))
        last = max(border, key=lambda name: graph.order.get(name, -1))
        before = graph.producers.get(last)
        if before is None or not _is_elementwise(graph, before):
            return None
        inside.append(before)
        border = (border - {last}) | _signals(graph, before)
    return None


def _limit_before(graph: Graph, node: NodeProto) -> NodeProto | None:
    """Node before a limit that is a limit too, such as Max before Min: one activation, not two."""
    before = graph.producers.get(node.input[graph.data(node)[0]])
    if node.op_type not in LIMITS or before is None or before.op_type not in LIMITS:
        return None
    return before if _is_elementwise(graph, before) and _is_plain(graph, before) else None


def _signals(graph: Graph, node: NodeProto) -> set[str]:
    return {node.input[index] for index in graph.data(node)}


def _is_elementwise(graph: Graph, node: NodeProto) -> bool:
    """Say whether a node treats all elements alike, by its operator and its constants."""
    if domain_of(node) or node.op_type not in MAPPED | OTHERS or len(node.output) != 1:
        return False
    others = [name for name in node.input if name and name not in graph.signals]
    return all(name in graph.constants and graph.constants[name].size == 1 for name in others)


def _is_plain(graph: Graph, node: NodeProto) -> bool:
    """Say whether a reader of this operator alone takes the node."""
    data = graph.data(node)
    if len(data) > 1 or node.op_type not in MAPPED:
        return False
    return node.op_type != "Div" or data == [0]


def _evaluate(graph: Graph, nodes: list[NodeProto], source: str, value: str) -> Floats | None:
    """Compute a value at `POINTS`; None where it is not finite or cannot be computed."""
    known: dict[str, Any] = {source: POINTS}
    ordered = sorted(nodes, key=lambda node: graph.order[node.output[0]])
    try:
        with np.errstate(all="ignore"):
            for node in ordered:
                for name in node.input:
                    if name and name not in known:
                        known[name] = _double(graph.constants[name].reshape(()))
                known[node.output[0]] = _compute(node, known, graph.opset)
    except Exception:  # whatever the reference of an operator raises: not recognised
        return None
    y = np.asarray(known[value], dtype=np.float64)
    return y if y.shape == POINTS.shape and np.isfinite(y).all() else None


def _compute(node: NodeProto, known: dict[str, Any], opset: int) -> Any:
    if node.op_type == "Cast":
        kind = attributes_of(node).get("to")
        array = known[node.input[0]]
        return array.astype(bool) if kind == TensorProto.BOOL else array.astype(np.float64)
    operands: dict[str, Any] = {given: known[given] for given in node.input if given}
    result = ReferenceEvaluator(node, opsets={"": opset}).run(None, operands)
    return _double(np.asarray(result[0]))  # type: ignore[index]  # a list, whatever the stub says


def _double(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
