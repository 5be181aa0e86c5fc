"""What turns scores into probabilities or classes at the end: left to the host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size
from vle.compiler.frontend.graph import REARRANGE, Graph, domain_of
from vle.compiler.frontend.registry import Reading, operator
from vle.errors import CompileError

LIMITS = "at the end, over the features"
CLASSES = "ai.onnx.ml.ArrayFeatureExtractor"
CLASSIFIER = "ai.onnx.ml.LinearClassifier"


@dataclass(frozen=True)
class HostStep:
    """One thing that the host does with what the chip answers.

    Parameters
    ----------
    name
        `Softmax`, `LogSoftmax`, `Sigmoid`, `ArgMax`, `Labels` (of a class's number), `Class` (the
        label of the largest) or `Normalize` (to a sum of 1).
    labels
        Of the classes.
    """

    name: str
    labels: tuple[int | str, ...] = ()

    def apply(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Apply the step to answers ``(..., outputs)``; classes are ``(...)``."""
        if self.name == "ArgMax":
            return np.asarray(scores.argmax(-1))
        if self.name == "Class":
            return np.asarray(np.array(self.labels)[scores.argmax(-1)])
        if self.name == "Labels":
            return np.asarray(np.array(self.labels)[scores])
        if self.name == "Sigmoid":
            return np.asarray(0.5 + 0.5 * np.tanh(0.5 * scores))
        if self.name == "Normalize":
            return np.asarray(scores / np.abs(scores).sum(-1, keepdims=True))
        shifted = scores - scores.max(-1, keepdims=True)
        total = np.exp(shifted).sum(-1, keepdims=True)
        done = np.exp(shifted) / total if self.name == "Softmax" else shifted - np.log(total)
        return np.asarray(done)


def choose_output(graph: Graph) -> tuple[str, tuple[str, ...]]:
    """Find the one output that counts.

    Others may be last states of an RNN, or the class beside the scores of a classifier.

    Raises
    ------
    CompileError
        If there is none, or more than one that counts.
    """
    names = [value.name for value in graph.graph.output]
    last = [name for name in names if _is_last_state(graph, name)]
    label = [name for name in names if _is_class(graph, name)]
    rest = [name for name in names if name not in (*last, *label)] if len(names) > 1 else names
    rest, inner = _last_of(graph, rest)
    if len(rest) != 1:
        raise CompileError(f"model must have one output, not {len(rest)} ({', '.join(rest)})")
    if rest[0] not in graph.producers and rest[0] not in graph.signals:
        raise CompileError(f"output {rest[0]!r} is not computed")
    notes = []
    if last and len(names) > 1:
        notes.append(f"output {', '.join(last)} left out: the last state of an RNN")
    if inner:
        notes.append(f"output {', '.join(inner)} left out: it is on the way to {rest[0]!r}")
    if label and len(names) > 1:
        notes.append(f"output {', '.join(label)} left to the host: {_classes(graph, label[0])}")
    return rest[0], tuple(notes)


def _last_of(graph: Graph, names: list[str]) -> tuple[list[str], list[str]]:
    """Find the output that all others are on the way to, such as the states of a written-out loop.

    Returns
    -------
    That one alone and the others; all and none where there is none such.
    """
    for name in names[:1]:
        others = [other for other in names if other != name]
        before = graph.leads_to([name])
        if others and all(_is_among(graph, other, before) for other in others):
            return [name], others
    return names, []


def _is_among(graph: Graph, name: str, values: set[str]) -> bool:
    """Say whether a value is one of some values, or made of them by nodes that only rearrange."""
    node = graph.producers.get(name)
    if name in values or node is None:
        return name in values
    if node.op_type == "Concat":
        return all(_is_among(graph, source, values) for source in node.input)
    return node.op_type in REARRANGE and _is_among(graph, node.input[0], values)


def _is_last_state(graph: Graph, name: str) -> bool:
    """Say whether a value is the last state of one RNN, or those of several together."""
    node = graph.producers.get(name)
    if node is not None and node.op_type in (*REARRANGE, "Concat"):
        sources = node.input if node.op_type == "Concat" else node.input[:1]
        return all(_is_last_state(graph, source) for source in sources)
    return node is not None and node.op_type == "RNN" and list(node.output).index(name) == 1


def _is_class(graph: Graph, name: str) -> bool:
    """Say whether a value is the number or the label of a class."""
    node = graph.producers.get(name)
    while node is not None and f"{domain_of(node)}{node.op_type}" in (*REARRANGE, CLASSES):
        data = graph.data(node)
        if len(data) != 1:
            return False
        name = node.input[data[0]]
        node = graph.producers.get(name)
    if node is None:
        return False
    first = f"{domain_of(node)}{node.op_type}" == CLASSIFIER and name == node.output[0]
    return node.op_type == "ArgMax" or first


def _classes(graph: Graph, name: str) -> str:
    """Say which classes there are."""
    labels: list[Any] = []
    while (node := graph.producers.get(name)) is not None:
        if f"{domain_of(node)}{node.op_type}" == CLASSES and node.input[0] in graph.constants:
            labels = graph.constants[node.input[0]].ravel().tolist()
        data = graph.data(node)
        if not data or labels:
            break
        name = node.input[data[0]]
    named = ", ".join(map(str, labels[:12])) + ", ..." * (len(labels) > 12)
    return "the class of the largest score" + f", one of {named}" * bool(labels)


def _host_side(operation: Operation, frame: Frame, sizes: tuple[Size, ...]) -> Reading:
    old = operation.opset < 13
    default = 0 if operation.operator == "ArgMax" else 1 if old else -1
    axis = operation.attributes.get("axis", default) % len(frame.axes)
    if axis != (len(frame.axes) - 1 if frame.features is None else frame.features):
        raise operation.refuse(f"must be over the features, not over axis {axis}")
    if old and operation.operator != "ArgMax" and axis != len(frame.axes) - 1:
        raise operation.refuse("must be over the last axis")
    operation.require(select_last_index=0)
    axes = list(frame.axes)
    if operation.operator == "ArgMax":
        axes[axis : axis + 1] = [Axis(1)] * operation.attributes.get("keepdims", 1)
    note = f"{operation.node} is left to the host: outputs are its input, the largest stays largest"
    ended = replace(frame.with_axes(axes), ended=f"{operation.node} must be the last")
    return Reading(ended, note=note, host=HostStep(operation.operator))


for _name in ("Softmax", "LogSoftmax", "ArgMax"):
    operator(_name, "nothing: the outputs are the scores before it, and a note says so", LIMITS)(
        _host_side
    )
