"""The values of one step of a loop as sums, node by node."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto

from vle.compiler.frontend.affine import Affine
from vle.compiler.frontend.chain import node_operation
from vle.compiler.frontend.elementwise import find_activation
from vle.compiler.frontend.frame import Axis, Frame
from vle.compiler.frontend.graph import attributes_of, domain_of, label
from vle.compiler.frontend.loop import Loop, State
from vle.compiler.frontend.registry import find
from vle.compiler.frontend.steps import Elementwise, Floats, Matrix, Nonlinear, Step
from vle.errors import CompileError
from vle.sim import Activation

THROUGH = ("Cast", "Dropout", "Identity", "Squeeze", "Unsqueeze")
ONE, ZERO = np.array(1.0), np.array(0.0)


@dataclass(frozen=True)
class Rate:
    """An activation in the step: its function, what goes into it, and its node."""

    activation: Activation
    argument: Affine
    node: str


@dataclass
class Sums:
    """Values of one step by name, each as a sum of what the step hears.

    Parameters
    ----------
    loop
        The step.
    width
        Of its input.
    where
        Label of the loop, for messages.

    Members
    -------
    rates
        The activations that were met, by the name of their value.
    """

    loop: Loop
    width: int
    where: str
    values: dict[str, Affine] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    widths: dict[str, int | None] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @property
    def states(self) -> dict[str, State]:
        """What steps hand on, by name."""
        return {state.name: state for state in self.loop.states}

    def refuse(self, rule: str, node: str = "") -> CompileError:
        """Return an error that names a node, or the loop."""
        return CompileError(rule, node=node or self.where)

    def value(self, name: str) -> Affine:
        """Return a value as a sum of inputs, states and rates."""
        if name not in self.values:
            self.values[name] = self._value(name)
        return self.values[name]

    def _value(self, name: str) -> Affine:
        graph = self.loop.graph
        if name == self.loop.x or name in self.states:
            return Affine({name: ONE})
        if name in graph.constants:
            return Affine({}, self._vector(name))
        node = graph.producers.get(name)
        if node is None or name not in graph.signals:
            raise self.refuse(f"{name!r} must depend on the step's input")
        data = graph.data(node)
        if node.op_type in THROUGH and not domain_of(node):
            return self.value(node.input[0])
        if len(data) == 1:
            return self._single(name, node)
        found = find_activation(graph, name)
        if found:
            return self._through(self.value(found.source), name, found.steps)
        return self._several(node)

    def _vector(self, name: str) -> Floats:
        if self.loop.graph.constants[name].dtype.kind in "cOSU":
            raise self.refuse(f"constant {name!r} must be of real numbers")
        array = np.asarray(self.loop.graph.constants[name], dtype=float)
        if array.size > 1 and array.size != array.shape[-1]:
            raise self.refuse(f"constant {name!r} must be the same for all sequences")
        return array.reshape(array.shape[-1:] if array.size > 1 else ())

    def _several(self, node: NodeProto) -> Affine:
        """Take a node with several signals: sums, and vectors beside each other."""
        operands = [self.value(name) for name in node.input if name]
        if node.op_type in ("Add", "Sum"):
            whole = operands[0]
            for operand in operands[1:]:
                whole = whole.plus(operand)
            return whole
        if node.op_type == "Sub":
            return operands[0].plus(operands[1].scaled(-ONE, ZERO))
        if node.op_type == "Concat" and attributes_of(node)["axis"] in (-1, 1, 2):
            return self._beside(node, operands)
        names = ", ".join(node.input[index] for index in self.loop.graph.data(node))
        raise self.refuse(f"cannot be mapped: it joins {names}", label(node))

    def _beside(self, node: NodeProto, operands: list[Affine]) -> Affine:
        widths = [self.width_of(name) for name in node.input]
        if None in widths:
            raise self.refuse("must join vectors of fixed length", label(node))
        sizes = [width or 0 for width in widths]
        starts = np.cumsum([0, *sizes])
        whole = Affine({}, np.zeros(starts[-1]))
        for start, size, operand in zip(starts, sizes, operands, strict=False):
            whole = whole.plus(operand.through(np.eye(starts[-1], size, -start), ZERO))
        return whole

    def _single(self, name: str, node: NodeProto) -> Affine:
        """Take a node as its own reader does."""
        operation = node_operation(self.loop.graph, name)
        if operation.steps:
            return self._through(self.value(operation.source), name, operation.steps)
        width = self.width_of(operation.source)
        frame = Frame((Axis("batch"), Axis(width)))
        reading = find(operation).read(operation, frame, (None, width))
        if reading.frame.ended or reading.note:
            raise self.refuse("must not be within a loop", label(node))
        return self._through(self.value(operation.source), name, reading.steps)

    def _through(self, value: Affine, name: str, steps: tuple[Step, ...]) -> Affine:
        for index, step in enumerate(steps):
            if isinstance(step, Matrix):
                value = value.through(step.weight, step.bias)
            elif isinstance(step, Elementwise):
                value = value.scaled(step.scale, step.shift)
            elif isinstance(step, Nonlinear):
                rate = f"{name}/{index}"
                self.rates[rate] = Rate(step.activation, value, step.node)
                value = Affine({rate: ONE})
            else:
                raise self.refuse("loops must not be nested", step.node)
        return value

    def width_of(self, name: str) -> int | None:
        """Length of a value, where a matrix or a constant on the way to it tells."""
        if self.widths.get(name) is None and name not in self.asked:
            self.asked.add(name)  # states are asked for again on the way
            self.widths[name] = self._width(name)
            self.asked.remove(name)
        return self.widths.get(name)

    def _width(self, name: str) -> int | None:
        graph = self.loop.graph
        if name == self.loop.x:
            return self.width
        if name in self.states:
            return self.width_of(self.states[name].after)
        if name in graph.constants:
            array = graph.constants[name]
            return int(array.shape[-1]) if array.ndim and array.shape[-1] > 1 else None
        node = graph.producers[name]
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in graph.constants:
            rows = bool(attributes_of(node).get("transB", 0))
            shape = graph.constants[node.input[1]].shape
            return int(shape[-2 if rows else -1]) if len(shape) > 1 else None
        widths = [self.width_of(n) for n in node.input if n]
        if node.op_type == "Concat":
            return None if None in widths else sum(w or 0 for w in widths)
        return next((width for width in widths if width), None)
