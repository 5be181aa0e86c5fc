"""A step of a loop over time: its graph, its states, and where the sequence comes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper

from vle.compiler.frontend.graph import Graph, attributes_of, label
from vle.errors import CompileError


@dataclass(frozen=True)
class State:
    """A value that one step hands on to the next.

    Parameters
    ----------
    name
        What the step calls it before.
    after
        The value of the step that it becomes.
    start
        Before the first step: one number, one per feature, or one row per sequence.
    """

    name: str
    after: str
    start: NDArray[Any] = field(repr=False)


@dataclass(frozen=True)
class Loop:
    """One step, and how it lies in the graph around it.

    Parameters
    ----------
    graph
        Of one step.
    x
        Name of the step's input.
    states
        What steps hand on.
    output
        Name of the value that the step computes.
    source
        The sequence, a value of the graph around.
    axis, output_axis
        Of time, in the sequence and in the answer; `output_axis` is None where only the last
        step's value goes on.
    length
        Steps, where the loop is written out and the sequence must have just as many; else None.
    """

    graph: Graph = field(repr=False)
    x: str
    states: tuple[State, ...]
    output: str
    source: str
    axis: int
    output_axis: int | None
    length: int | None = None


def scan_loop(graph: Graph, node: NodeProto, value: str) -> Loop:
    """Take a Scan node apart.

    Raises
    ------
    CompileError
        For a scan of several sequences, backwards, or from a state that is not known.
    """
    attributes = attributes_of(node)
    body, sequences = attributes.get("body"), attributes.get("num_scan_inputs", 0)
    where = label(node)
    if not isinstance(body, GraphProto):
        raise CompileError("must have a body", node=where)
    count = len(node.input) - sequences
    if sequences != 1 or count < 0 or graph.data(node) != [count]:
        raise CompileError(f"must scan one sequence, not {sequences}", node=where)
    backwards = ("scan_input_directions", "scan_output_directions")
    if any(any(attributes.get(name, [])) for name in backwards):
        raise CompileError("must scan forward, not in reverse", node=where)
    outputs = len(node.output)
    axes = attributes.get("scan_output_axes", [0] * (outputs - count))
    if (len(body.input), len(body.output)) != (len(node.input), outputs):
        rule = f"body must have {len(node.input)} inputs and {outputs} outputs"
        raise CompileError(f"{rule}, not {len(body.input)} and {len(body.output)}", node=where)
    if len(axes) != outputs - count:
        rule = f"scan_output_axes must be {outputs - count}, not {len(axes)}"
        raise CompileError(rule, node=where)
    opset = [helper.make_opsetid("", graph.opset)]
    inner = Graph(helper.make_model(body, opset_imports=opset), graph.constants)
    states = []
    for index in range(count):
        start = graph.spread(node.input[index])
        if start is None:
            rule = "must be a constant; write it into the file"
            raise CompileError(f"initial state {node.input[index]!r} {rule}", node=where)
        states.append(State(body.input[index].name, body.output[index].name, np.asarray(start)))
    position = list(node.output).index(value)
    return Loop(
        graph=inner,
        x=body.input[count].name,
        states=tuple(states),
        output=body.output[position].name,
        source=node.input[count],
        axis=(attributes.get("scan_input_axes") or [0])[0],
        output_axis=None if position < count else axes[position - count],
    )
