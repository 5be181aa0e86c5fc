"""Second pass: an ONNX graph to the one chain of operations from its input to its output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, defs, helper, numpy_helper

from vle.compiler.frontend import fold
from vle.errors import CompileError

OLDEST = 7  # opset; broadcasting was another before
SHAPE_OPERATORS = ("Shape", "Size")
REARRANGE = frozenset(("Cast", "Expand", "Gather", "Identity", "Reshape", "Slice", "Squeeze"))
REARRANGE |= {"Tile", "Transpose", "Unsqueeze"}


def label(node: NodeProto) -> str:
    """Name of a node for messages: `name (Operator)`, or what it computes where it has no name."""
    domain = f"{node.domain}." if node.domain not in ("", "ai.onnx") else ""
    name = node.name or f"of {', '.join(output for output in node.output if output)}"
    return f"{name} ({domain}{node.op_type})"


@dataclass(frozen=True)
class Operation:
    """One node of the chain, with all that it needs but the signal.

    Parameters
    ----------
    node
        Its label, for messages.
    operator
        Operator, with the domain in front where that is not ONNX's own.
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
    zeros
        Positions of inputs that are 0 whatever the batch.
    unknown
        Positions of inputs that are known only when the model runs.
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
    zeros: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()

    def refuse(self, message: str) -> CompileError:
        """Return the error that names this node."""
        return CompileError(message, node=self.node)

    def constant(self, index: int) -> NDArray[Any] | None:
        """Constant operand at a position, None where the input is not given.

        Raises
        ------
        CompileError
            If the operand is computed while the model runs.
        """
        if index in self.unknown:
            raise self.refuse(f"input {index} must be a constant, not computed from the input")
        return self.operands[index] if index < len(self.operands) else None

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
    """The operations from the input to the output, in order."""

    input: ValueInfoProto
    output: str
    operations: tuple[Operation, ...]
    notes: tuple[str, ...] = ()


def build_chain(model: ModelProto) -> Chain:
    """Follow the output back to the input; what does not lead there is left out.

    Raises
    ------
    CompileError
        If there is more than one input, or more than one output that is not an RNN's last state; if
        a value is nowhere computed or stored, the graph is cyclic, or the chain branches.
    """
    graph = _Graph(model)
    output, notes = graph.choose_output()
    operations: list[Operation] = []
    value = output
    while value != graph.input.name:
        operation = graph.operation(value)
        operations.append(operation)
        value = operation.source
    return Chain(graph.input, output, tuple(reversed(operations)), notes)


class _Graph:
    """Values of a graph by name: constants, the signal, and what depends on shapes only."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self.constants: dict[str, NDArray[Any]] = {}
        for tensor in model.graph.initializer:
            try:
                self.constants[tensor.name] = numpy_helper.to_array(tensor)
            except Exception as error:  # whatever is wrong with the bytes
                rule = f"initializer {tensor.name!r} must be whole: {error}"
                raise CompileError(rule) from error
        if model.graph.sparse_initializer:
            raise CompileError("initializers must be dense, not sparse")
        inputs = [value for value in model.graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise CompileError(f"model must have one input, not {len(inputs)} ({names})")
        self.input = inputs[0]
        self.signals = {self.input.name}
        self.producers: dict[str, NodeProto] = {}
        self.opset = max(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1
        )
        if not OLDEST <= self.opset <= defs.onnx_opset_version():
            rule = f"opset must be {OLDEST} to {defs.onnx_opset_version()}, not {self.opset}"
            raise CompileError(rule)
        self._classify()

    def _classify(self) -> None:
        """Go through the nodes in order: fold constants, follow the signal."""
        later = {name for node in self.graph.node for name in node.output}
        known = {self.input.name, *self.constants, ""}
        for node in self.graph.node:
            for name in node.input:
                if name not in known:
                    rule = "computed only later: the graph is cyclic or out of order"
                    rule = rule if name in later else "neither computed nor stored in the file"
                    raise CompileError(f"input {name!r} is {rule}", node=label(node))
            if any(name in self.signals for name in node.input):
                if node.op_type not in SHAPE_OPERATORS:
                    self.signals.update(name for name in node.output if name)
            elif all(name in self.constants for name in node.input if name):
                self.constants.update(fold.fold(node, self.constants, self.opset))
            known.update(node.output)
            self.producers.update((name, node) for name in node.output if name)

    def choose_output(self) -> tuple[str, tuple[str, ...]]:
        """Find the one output that counts; further ones may be last states of an RNN."""
        names = [value.name for value in self.graph.output]
        last = [name for name in names if self._is_last_state(name)]
        rest = [name for name in names if name not in last] if len(names) > 1 else names
        if len(rest) != 1:
            raise CompileError(f"model must have one output, not {len(rest)} ({', '.join(rest)})")
        if rest[0] not in self.producers and rest[0] not in self.signals:
            raise CompileError(f"output {rest[0]!r} is not computed")
        notes = (f"output {', '.join(last)} left out: the last state of an RNN",)
        return rest[0], notes if len(names) > 1 else ()

    def _is_last_state(self, name: str) -> bool:
        """Say whether a value is the last state of one RNN, or those of several together."""
        node = self.producers.get(name)
        if node is not None and node.op_type in (*REARRANGE, "Concat"):
            sources = node.input if node.op_type == "Concat" else node.input[:1]
            return all(self._is_last_state(source) for source in sources)
        return node is not None and node.op_type == "RNN" and list(node.output).index(name) == 1

    def operation(self, value: str) -> Operation:
        """Make the operation that computes a value from the signal."""
        node = self.producers.get(value)
        if node is None or value not in self.signals:
            raise CompileError(f"output {value!r} must depend on the input {self.input.name!r}")
        data = [index for index, name in enumerate(node.input) if name in self.signals]
        domain = f"{node.domain}." if node.domain not in ("", "ai.onnx") else ""
        if len(data) != 1:
            names = ", ".join(node.input[index] for index in data)
            rule = f"branches cannot be mapped: it joins {names}; supported is one chain of layers"
            raise CompileError(rule, node=label(node))
        others = {i: name for i, name in enumerate(node.input) if name and i != data[0]}
        unknown = {i for i, name in others.items() if name not in self.constants}
        return Operation(
            node=label(node),
            operator=f"{domain}{node.op_type}",
            attributes={a.name: helper.get_attribute_value(a) for a in node.attribute},
            operands=tuple(
                None if i == data[0] else self.constants.get(name)
                for i, name in enumerate(node.input)
            ),
            data_index=data[0],
            source=node.input[data[0]],
            output=value,
            output_index=list(node.output).index(value),
            opset=self.opset,
            zeros=frozenset(i for i, name in others.items() if self._is_zero(name)),
            unknown=frozenset(unknown),
        )

    def _is_zero(self, name: str) -> bool:
        """Say whether a value is 0 throughout, whatever its shape."""
        while name not in self.constants:
            node = self.producers.get(name)
            if node is None:
                return False
            if node.op_type == "ConstantOfShape":
                fill = [helper.get_attribute_value(a) for a in node.attribute if a.name == "value"]
                return not fill or not np.any(numpy_helper.to_array(fill[0]))
            if node.op_type not in REARRANGE:
                return False
            name = node.input[0]
        return not np.any(self.constants[name])
