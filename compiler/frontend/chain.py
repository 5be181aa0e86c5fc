"""Second pass: an ONNX graph to the one chain of operations from its input to its output."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from vle.compiler.frontend.elementwise import find_activation
from vle.compiler.frontend.graph import Graph, attributes_of, domain_of, label
from vle.compiler.frontend.loop import Loop, scan_loop
from vle.compiler.frontend.steps import Step
from vle.compiler.frontend.unrolled import find_unrolled
from vle.errors import CompileError

BENT = ("HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Softplus", "Tanh")  # may end a loop's step
JOINS = ("Add", "Concat", "Sub", "Sum")


@dataclass(frozen=True)
class Operation:
    """One node of the chain, with all that it needs but the signal.

    Parameters
    ----------
    node
        Its label, for messages.
    operator
        Operator, with the domain in front where that is not ONNX's own; in brackets for several
        nodes that are one operation together.
    attributes
        By name; absent ones are absent.
    operands
        Constants by position; None where the signal comes in or nothing is given.
    data_index
        Position of the signal among the inputs.
    source, output
        Names of the signal before and after.
    output_index
        Position of the output that goes on.
    opset
        Version of ONNX's operators.
    spread
        Constants by position that are repeated along the batch.
    unknown
        Positions of inputs that are known only when the model runs.
    steps
        What several nodes compute, where they are an activation together.
    loop
        A step of a loop that is written out, or the body of one that is not.
    branches
        Chains that this node joins, from `source` or each from an input of its own.
    """

    node: str
    operator: str
    attributes: dict[str, Any]
    operands: tuple[NDArray[Any] | None, ...] = field(repr=False)
    data_index: int
    source: str
    output: str
    output_index: int = 0
    opset: int = 21
    spread: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False)
    unknown: frozenset[int] = frozenset()
    steps: tuple[Step, ...] = ()
    loop: Loop | None = None
    branches: tuple[tuple[Operation, ...], ...] = ()

    def refuse(self, message: str) -> CompileError:
        """Return the error that names this node."""
        return CompileError(message, node=self.node)

    def constant(self, index: int, *, text: bool = False) -> NDArray[Any] | None:
        """Constant operand at a position, None where the input is not given.

        Raises
        ------
        CompileError
            If the operand is computed while the model runs, or is complex, or text unless that may
            be.
        """
        if index in self.unknown:
            raise self.refuse(f"input {index} must be a constant, not computed from the input")
        array = self.operands[index] if index < len(self.operands) else None
        if array is not None and array.dtype.kind in ("c" if text else "cOSU"):
            raise self.refuse(f"input {index} must be of real numbers, not {array.dtype}")
        return array

    def number(self, index: int, default: float) -> float:
        """Constant operand that must be a single number."""
        array = self.constant(index)
        if array is None:
            return default
        if array.size != 1:
            raise self.refuse(f"input {index} must be one number, not of shape {array.shape}")
        return float(array.reshape(()))

    def require(self, **rules: Any) -> None:
        """Refuse attributes that are given with another value."""
        for name, value in rules.items():
            found = self.attributes.get(name, value)
            if found != value:
                raise self.refuse(f"{name} must be {value!r}, not {found!r}")


@dataclass(frozen=True)
class Chain:
    """The operations from the inputs to the output, in order.

    Parameters
    ----------
    inputs
        Names of the inputs; where there are several, the first operation joins them.
    output
        Name of the output.
    operations
        In order.
    notes
        What is left out.
    """

    inputs: tuple[str, ...]
    output: str
    operations: tuple[Operation, ...]
    notes: tuple[str, ...] = ()


def build_chain(graph: Graph, output: str, notes: tuple[str, ...] = ()) -> Chain:
    """Follow the output back to the inputs; what does not lead there is left out.

    Raises
    ------
    CompileError
        If the output does not depend on an input, the chain branches in a way that no operation is
        known for, or an input does not lead to the output.
    """
    operations = _follow(graph, output)
    first = operations[0] if operations else None
    used = {output} if first is None else set(first.attributes.get("starts", [first.source]))
    used = used if first is None or not first.source else {first.source}
    unused = [name for name in graph.inputs if name not in used]
    if unused:
        raise CompileError(f"inputs must lead to the output {output!r}, not {', '.join(unused)}")
    return Chain(tuple(graph.inputs), output, operations, notes)


def _follow(graph: Graph, value: str) -> tuple[Operation, ...]:
    """Operations from an input, or from a join of several inputs, to a value."""
    operations: list[Operation] = []
    while value not in graph.inputs:
        operation = node_operation(graph, value)
        operations.append(operation)
        value = operation.source
        if not value:
            break
    return tuple(reversed(operations))


def node_operation(graph: Graph, value: str) -> Operation:
    """Make the operation that computes a value from the signal."""
    node = graph.producers.get(value)
    if node is None or value not in graph.signals:
        names = " or ".join(map(repr, graph.inputs))
        raise CompileError(f"output {value!r} must depend on the input {names}")
    data = graph.data(node)
    if node.op_type == "Scan":
        loop = scan_loop(graph, node, value)
        return _whole(graph, value, "Scan", loop.source, loop=loop)
    ends = len(data) > 1 or node.op_type in BENT
    if ends and (found_loop := find_unrolled(graph, value)):
        return _whole(graph, value, "(loop)", found_loop.source, loop=found_loop)
    if found := find_activation(graph, value):
        return _whole(graph, value, "(activation)", found.source, steps=found.steps)
    if node.op_type == "RNN" and len(data) > 1:
        rule = "must be a constant, not an input or computed; write it into the file"
        what = "initial_h" if data[-1] == 5 else "every input but the first"
        raise CompileError(f"{what} {rule}", node=label(node))
    if len(data) > 1:
        return _join(graph, value, data)
    others = {i: name for i, name in enumerate(node.input) if name and i != data[0]}
    spread = {i: array for i, name in others.items() if (array := graph.spread(name)) is not None}
    return replace(
        _whole(graph, value, f"{domain_of(node)}{node.op_type}", node.input[data[0]]),
        attributes=attributes_of(node),
        operands=tuple(
            None if i == data[0] else graph.constants.get(name) for i, name in enumerate(node.input)
        ),
        data_index=data[0],
        output_index=list(node.output).index(value),
        spread=spread,
        unknown=frozenset(i for i, name in others.items() if name not in graph.constants),
    )


def _whole(graph: Graph, value: str, operator: str, source: str, **what: Any) -> Operation:
    """Make an operation that names the last of its nodes."""
    node = label(graph.producers[value])
    return Operation(node, operator, {}, (), 0, source, value, opset=graph.opset, **what)


def _join(graph: Graph, value: str, data: list[int]) -> Operation:
    """Make the operation of a node whose signals branch from one value or come from inputs."""
    node = graph.producers[value]
    names = [node.input[index] for index in data]
    joined = f"it joins {', '.join(names)}"
    rule = f"branches cannot be mapped: {joined}; supported is one chain of layers"
    if node.op_type not in JOINS or len(data) != sum(map(bool, node.input)):
        raise CompileError(rule, node=label(node))
    paths = [_follow(graph, name) for name in names]
    if any(operation.branches or operation.loop for path in paths for operation in path):
        raise CompileError(rule, node=label(node))
    starts = [path[0].source if path else name for path, name in zip(paths, names, strict=True)]
    source = "" if len(set(starts)) > 1 else _meeting(paths, names)
    if source:
        paths = [_after(path, source) for path in paths]
    whole = _whole(graph, value, f"(join {node.op_type})", source, branches=tuple(paths))
    attributes = attributes_of(node) | {"starts": starts, "rule": rule}
    return replace(whole, attributes=attributes)


def _meeting(paths: list[tuple[Operation, ...]], names: list[str]) -> str:
    """Last value that all paths have in common."""
    values = [
        [*(operation.source for operation in path), name]
        for path, name in zip(paths, names, strict=True)
    ]
    return next(value for value in reversed(values[0]) if all(value in v for v in values[1:]))


def _after(path: tuple[Operation, ...], source: str) -> tuple[Operation, ...]:
    """Return the part of a path behind a value."""
    sources = [operation.source for operation in path]
    return path[sources.index(source) :] if source in sources else ()
