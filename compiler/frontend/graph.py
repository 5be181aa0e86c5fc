"""Values of an ONNX graph by name: constants, the signal, and what depends on shapes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TypeProto, defs, helper, numpy_helper
from onnx.shape_inference import infer_shapes

from vle.compiler.frontend import fold
from vle.errors import CompileError

OLDEST = 7  # opset; broadcasting was another before
SHAPED = ("ConstantOfShape", "Expand", "Reshape", "Tile")  # their last input is a shape
SHAPE_OPERATORS = ("Shape", "Size")
SPREADING = frozenset(("Cast", "Expand", "Identity", "Squeeze", "Tile", "Unsqueeze"))
REARRANGE = SPREADING | {"Gather", "Reshape", "Slice", "Transpose"}

Size = int | str | None  # a number, a name, or unknown


def domain_of(node: NodeProto) -> str:
    """Domain of a node with a dot behind, empty for ONNX's own."""
    return f"{node.domain}." if node.domain not in ("", "ai.onnx") else ""


def label(node: NodeProto) -> str:
    """Name of a node for messages: `name (Operator)`, or what it computes where it has no name."""
    name = node.name or f"of {', '.join(output for output in node.output if output)}"
    return f"{name} ({domain_of(node)}{node.op_type})"


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attributes by name; absent ones are absent."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def heard_by(node: NodeProto) -> list[str]:
    """Names of a node's inputs, and of all that the graphs in its attributes take from outside."""
    names = list(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            names += [name for inner in attribute.g.node for name in heard_by(inner)]
    return names


def sizes_of(kind: TypeProto) -> tuple[Size, ...]:
    """Sizes of a tensor's axes."""
    return tuple(
        d.dim_value if d.HasField("dim_value") else d.dim_param or None
        for d in kind.tensor_type.shape.dim
    )


class Graph:
    """A model's main graph, its constants computed.

    Parameters
    ----------
    model
        With functions of other domains inlined.
    outer
        Constants of the graph around this one, where this is the body of a loop.

    Members
    -------
    constants
        Values that are known, by name.
    inputs
        Types of the inputs that no initializer fills, by name.
    signals
        Names of the values that the numbers of an input flow into.
    producers
        The node that computes a value, by the value's name.
    order
        Positions of the nodes, by the names of the values they compute.
    opset
        Version of ONNX's operators.

    Raises
    ------
    CompileError
        For numbers that are cut off, an opset that is not known, and a value that is nowhere
        computed or stored or only later.
    """

    def __init__(self, model: ModelProto, outer: Mapping[str, NDArray[Any]] | None = None) -> None:
        self.model, self.graph = model, model.graph
        self.constants: dict[str, NDArray[Any]] = dict(outer or {})
        for tensor in model.graph.initializer:
            try:
                self.constants[tensor.name] = numpy_helper.to_array(tensor)
            except Exception as error:  # whatever is wrong with the bytes
                rule = f"initializer {tensor.name!r} must be whole: {error}"
                raise CompileError(rule) from error
        if model.graph.sparse_initializer:
            raise CompileError("initializers must be dense, not sparse")
        stored = {tensor.name for tensor in model.graph.initializer}
        self.inputs = {v.name: v.type for v in model.graph.input if v.name not in stored}
        self.signals = set(self.inputs)
        self.producers: dict[str, NodeProto] = {}
        self.order: dict[str, int] = {}
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
        known = {*self.inputs, *self.constants, ""}
        for index, node in enumerate(self.graph.node):
            for name in node.input:
                if name not in known:
                    rule = "computed only later: the graph is cyclic or out of order"
                    rule = rule if name in later else "neither computed nor stored in the file"
                    raise CompileError(f"input {name!r} is {rule}", node=label(node))
            if node.op_type == "CastLike" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self.constants[node.input[0]]
            elif any(name in self.signals for name in heard_by(node)):
                if node.op_type not in SHAPE_OPERATORS:
                    self.signals.update(name for name in node.output if name)
            elif all(name in self.constants for name in node.input if name):
                self.constants.update(fold.fold(node, self.constants, self.opset))
            self._refuse_huge(node)
            known.update(node.output)
            self.producers.update((name, node) for name in node.output if name)
            self.order.update((name, index) for name in node.output if name)

    def _refuse_huge(self, node: NodeProto) -> None:
        """Refuse a stored shape that ONNX's own inference would fill the memory with."""
        if node.op_type not in SHAPED or domain_of(node) or not node.input:
            return
        shape = self.constants.get(node.input[-1])
        if shape is None or shape.dtype.kind not in "iu":
            return
        elements = np.prod(np.abs(shape.astype(np.float64)))
        if elements > fold.LIMIT:
            rule = f"shape must have at most {fold.LIMIT} elements, not {elements:g}"
            raise CompileError(rule, node=label(node))

    @cached_property
    def sizes(self) -> dict[str, tuple[Size, ...]]:
        """Sizes of all values, as far as ONNX's own shape inference finds them.

        Raises
        ------
        CompileError
            Where the inference fails.
        """
        try:
            inferred = infer_shapes(self.model, data_prop=True).graph
        except Exception as error:  # whatever its C++ raises
            raise CompileError(
                f"model must be valid ONNX: {' '.join(str(error).split())}"
            ) from error
        return {
            value.name: sizes_of(value.type)
            for value in (*inferred.value_info, *inferred.output, *inferred.input)
            if value.type.tensor_type.HasField("shape")
        }

    def leads_to(self, names: Iterable[str]) -> set[str]:
        """Names of the values that some values depend on, they themselves included."""
        found: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name and name not in found:
                found.add(name)
                stack += heard_by(self.producers[name]) if name in self.producers else []
        return found

    def data(self, node: NodeProto) -> list[int]:
        """Positions of a node's inputs that carry the signal."""
        return [index for index, name in enumerate(node.input) if name in self.signals]

    def spread(self, name: str) -> NDArray[Any] | None:
        """Find the constant that a value repeats along the batch; None where there is none."""
        while name not in self.constants:
            node = self.producers.get(name)
            if node is None:
                return None
            if node.op_type == "ConstantOfShape":
                fill = attributes_of(node).get("value")
                return np.zeros(1) if fill is None else numpy_helper.to_array(fill)
            inner = REARRANGE if self.is_zero(node.input[0]) else SPREADING
            if node.op_type not in inner:
                return None
            name = node.input[0]
        return self.constants[name]

    def is_zero(self, name: str) -> bool:
        """Say whether a value is 0 throughout, whatever its shape."""
        while name not in self.constants:
            node = self.producers.get(name)
            if node is None:
                return False
            if node.op_type == "ConstantOfShape":
                fill = attributes_of(node).get("value")
                return fill is None or not np.any(numpy_helper.to_array(fill))
            if node.op_type not in REARRANGE:
                return False
            name = node.input[0]
        return not np.any(self.constants[name])
