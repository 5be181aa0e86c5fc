"""The operators that can be mapped: each registers what it is, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.elementwise import MAPPED, OTHERS
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.graph import Graph, domain_of, label
from vle.compiler.frontend.steps import Step
from vle.errors import CompileError

if TYPE_CHECKING:
    from vle.compiler.frontend.outputs import HostStep


class Reading(NamedTuple):
    """What an operation does to axes and numbers, what the user should know, what is left to do."""

    frame: Frame
    steps: tuple[Step, ...] = ()
    note: str = ""
    host: HostStep | None = None


Reader = Callable[[Operation, Frame, tuple[Size, ...]], Reading]


class Operator(NamedTuple):
    """An operator of ONNX as the compiler sees it.

    Parameters
    ----------
    name
        As ONNX spells it.
    becomes
        What it is mapped to.
    limits
        What is supported of it.
    read
        Reads an operation, with the axes before it and the sizes after it.
    """

    name: str
    becomes: str
    limits: str
    read: Reader


_OPERATORS: dict[str, Operator] = {}

QOPERATOR = "its rounding is inside the operator; quantise with quant_format=QuantFormat.QDQ"
DYNAMIC = "its scale depends on the data; quantise statically, with QuantFormat.QDQ"

REFUSED = {
    "LSTM": "its gates multiply signals with each other; use RNN",
    "GRU": "its gates multiply signals with each other; use RNN",
    "Conv": "over time it would need a memory of past frames, a layer that only delays; "
    "use dense layers, RNN or Scan",
    "HardSwish": "it multiplies signals with each other; use HardSigmoid or Relu",
    "Loop": "how often it runs may depend on the data; use Scan or RNN",
    "If": "which branch it takes may depend on the data; export the one that is wanted",
    "QLinearMatMul": QOPERATOR,
    "QLinearConv": QOPERATOR,
    "com.microsoft.QGemm": QOPERATOR,
    "MatMulInteger": DYNAMIC,
    "DynamicQuantizeLinear": DYNAMIC,
    "com.microsoft.DynamicQuantizeMatMul": DYNAMIC,
}


def operator(name: str, becomes: str, limits: str = "") -> Callable[[Reader], Reader]:
    """Register a reader for an operator."""

    def register(read: Reader) -> Reader:
        _OPERATORS[name] = Operator(name, becomes, limits, read)
        return read

    return register


def find(operation: Operation) -> Operator:
    """Find the operator of an operation.

    Raises
    ------
    CompileError
        If it cannot be mapped; the message says what is supported.
    """
    if operation.operator not in _OPERATORS:
        raise _refusal(operation.node, operation.operator)
    return _OPERATORS[operation.operator]


STRUCTURE = frozenset(("CastLike", "Concat", "ConstantOfShape", "Expand", "Shape", "Size", "Split"))


def check_operators(graph: Graph) -> None:
    """Refuse the first operator on the way to an output that nothing can be made of.

    Those that have a reason of their own come first, since they are why others are there.

    Raises
    ------
    CompileError
        Naming the node.
    """
    needed = graph.leads_to(value.name for value in graph.graph.output)
    nodes = [
        node
        for node in graph.graph.node
        if needed.intersection(node.output) and graph.signals.intersection(node.output)
    ]
    known = _OPERATORS.keys() | MAPPED | OTHERS | STRUCTURE
    for node in nodes:
        if f"{domain_of(node)}{node.op_type}" in REFUSED:
            raise _refusal(label(node), f"{domain_of(node)}{node.op_type}")
    for node in nodes:
        if f"{domain_of(node)}{node.op_type}" not in known:
            raise _refusal(label(node), f"{domain_of(node)}{node.op_type}")


def _refusal(node: str, operator: str) -> CompileError:
    reason = REFUSED.get(operator)
    known = ", ".join(sorted(name for name in _OPERATORS if name.isalnum()))
    why = f": {reason}" if reason else f"; supported: {known}"
    return CompileError(f"operator {operator} cannot be mapped{why}", node=node)


def operators() -> Iterator[Operator]:
    """All operators that can be mapped, by name."""
    return iter(sorted(_OPERATORS.values(), key=lambda found: found.name.lower()))
