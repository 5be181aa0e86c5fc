"""Loops that an exporter has written out step by step, found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from vle.compiler.frontend.graph import Graph, attributes_of, label
from vle.compiler.frontend.loop import Loop, State
from vle.compiler.frontend.slices import Slice, evaluate
from vle.compiler.frontend.timeline import timeline_of
from vle.errors import CompileError

LEAST = 3  # steps: two to compare, and the first, which exporters simplify
TOLERANCE = 1e-5
LARGEST = 2**22  # elements of a value that is computed to compare


def find_unrolled(graph: Graph, value: str) -> Loop | None:
    """Find the loop whose steps a value joins: all of them in a Concat, or the last of them.

    Nodes belong to step `t` where frame `t` is the latest that they depend on; all steps but the
    first must consist of the same nodes with the same constants.

    Returns
    -------
    None where the value depends on no frames of a sequence, or is not that of a last step.

    Raises
    ------
    CompileError
        Where the steps differ, or hear frames of several sequences.
    """
    return _Search(graph, value).loop()


class _Compared(NamedTuple):
    """One step: its output, what each state becomes, starts where known, and step 1's output."""

    output: str
    states: dict[str, str]
    start: dict[str, NDArray[Any]]
    second: str


@dataclass
class _Search:
    graph: Graph
    value: str

    def __post_init__(self) -> None:
        self.line = timeline_of(self.graph)
        self.slices: dict[str, Slice] = {}

    def loop(self) -> Loop | None:
        node = self.graph.producers[self.value]
        stacked = node.op_type == "Concat"
        outputs = [self.line.bare(name) for name in node.input] if stacked else [self.value]
        for name in outputs:
            if not self.line.explore(name):
                return None
        found = [self.line.steps[name] for name in outputs]
        count = len(outputs) if stacked else found[0] + 1
        if count < LEAST or found != list(range(count))[-len(found) :]:
            return None
        self.slices = self.line.heard(outputs)
        if len({part[:2] for part in self.slices.values()}) != 1:
            return None
        return self.checked(node, outputs, count)

    def checked(self, node: NodeProto, outputs: list[str], count: int) -> Loop | None:
        """Compare the steps, and make a loop of the last but one."""
        where = label(node)
        found = self.compare(outputs, count, where)
        if found is None:
            return None
        sequence, axis, _ = next(iter(self.slices.values()))
        size = self.graph.sizes.get(sequence, ())
        known = size[axis % len(size)] if size else None
        if known != count:
            raise CompileError(f"must step through all {known} frames, not {count}", node=where)
        states = tuple(
            State(name, after, found.start.get(name, np.zeros(1)))
            for name, after in found.states.items()
        )
        loop = Loop(
            graph=self.body(found.output, found.states),
            x="x",
            states=states,
            output=found.output,
            source=sequence,
            axis=axis % len(size),
            output_axis=self.time_axis(node) if len(outputs) > 1 else None,
        )
        if not found.start:
            self.check_first(where, loop, found.second)
        return loop

    def compare(self, outputs: list[str], count: int, where: str) -> _Compared | None:
        """Compare each step with the one before."""
        last, states, output, start = outputs[-1], {}, "", {}
        for t in range(count - 1, 0, -1):
            pairs = self.match(last, t)
            wrong = pairs is None or (len(outputs) > 1 and pairs.get(last) != outputs[t - 1])
            if wrong and t == count - 1 and len(outputs) == 1:
                return None
            if wrong and t > 1:
                raise CompileError(f"steps {t} and {t - 1} must be alike to be a loop", node=where)
            if t == count - 1 and pairs is not None:
                output, states = pairs[last], self.line.states(pairs, t)
                before = {name: name for name in states}
            elif pairs is not None and not wrong:
                before = {name: pairs[value] for name, value in before.items() if value in pairs}
            if t == 1 and not wrong:
                start = {name: self.start(value) for name, value in before.items()}
            if t > 1 and pairs is not None:
                last = pairs[last]
        return _Compared(output, states, start, last)

    def start(self, value: str) -> NDArray[Any]:
        """Compute what stands for a state in the first step."""
        known = {}
        for name in self.graph.inputs:
            known[name] = np.zeros(self.shape(name))
        try:
            return evaluate(self.graph, value, known)
        except Exception as error:
            rule = f"initial state {value!r} must be computable: {error}"
            raise CompileError(rule, node=label(self.graph.producers[self.value])) from error

    def shape(self, name: str, without: int | None = None) -> list[int]:
        """Sizes of a value, 2 where they are not known."""
        size = self.graph.sizes.get(name, ())
        shape = [s if isinstance(s, int) else 2 for i, s in enumerate(size) if i != without]
        if np.prod(shape, dtype=float) > LARGEST:
            raise CompileError(f"{name!r} must have at most {LARGEST} elements, not {shape}")
        return shape

    def time_axis(self, node: NodeProto) -> int:
        rank = len(self.graph.sizes.get(self.value, (0, 0, 0)))
        return int(attributes_of(node)["axis"] % rank)

    def match(self, value: str, t: int) -> dict[str, str] | None:
        """Pair every value of step `t` with one of step `t - 1`; None where they differ."""
        partner = self.partner(value, t)
        return self.line.pair(value, partner, t) if partner else self.line.before(value, t)

    def partner(self, value: str, t: int) -> str:
        """Value of the step before that a stacked output corresponds to."""
        node = self.graph.producers[self.value]
        if node.op_type != "Concat":
            return ""
        outputs = [self.line.bare(name) for name in node.input]
        return outputs[t - 1] if outputs[t] == value else ""

    def body(self, output: str, states: dict[str, str]) -> Graph:
        """Make a graph of one step, with `x` for its frame."""
        nodes: dict[int, NodeProto] = {}
        todo = [output, *states.values()]
        while todo:
            name = todo.pop()
            if name in states or name in self.line.slices or name not in self.graph.signals:
                continue
            index = self.graph.order[name]
            if index not in nodes:
                node = NodeProto()
                node.CopyFrom(self.graph.producers[name])
                todo += [n for n in node.input if n]
                for i, n in enumerate(node.input):
                    if n in self.line.slices and n not in states:
                        node.input[i] = "x"
                nodes[index] = node
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", *states)]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph([nodes[i] for i in sorted(nodes)], "step", inputs, outputs)
        opset = [helper.make_opsetid("", self.graph.opset)]
        return Graph(helper.make_model(graph, opset_imports=opset), self.graph.constants)

    def check_first(self, where: str, loop: Loop, after_first: str) -> None:
        """Require that the first step is the others' from an initial state of 0.

        Exporters compute in advance what an initial state adds, so the numbers are compared.
        """
        first = self._value_before(after_first)
        frame = np.random.default_rng(0).normal(size=self.shape(loop.source, loop.axis))
        try:
            known = {name: frame for name, part in self.slices.items() if part.t == 0}
            got = evaluate(self.graph, first, known)
            zero = {state.name: np.zeros(1) for state in loop.states}
            zero = {name: self._zeros(name, got) for name in zero}
            expected = evaluate(loop.graph, loop.output, {"x": frame, **zero})
        except CompileError:
            raise
        except Exception as error:
            rule = f"the first step of the loop must be computable: {error}"
            raise CompileError(rule, node=where) from error
        off = np.abs(np.ravel(got) - np.ravel(expected))
        if off.size and off.max() > TOLERANCE * (1 + np.abs(expected).max()):
            rule = "the loop that is written out must start from a state of 0; use RNN or Scan"
            raise CompileError(rule, node=where)

    def _value_before(self, after_first: str) -> str:
        """Return the output of step 0."""
        node = self.graph.producers[self.value]
        if node.op_type == "Concat":
            return self.line.bare(node.input[0])
        pairs = self._first(after_first)
        if pairs is None:
            raise CompileError("the first step of the loop must be found", node=label(node))
        return pairs

    def _first(self, value: str) -> str | None:
        """Latest value of step 0 that computes the same operator as a value of step 1."""
        kind = self.graph.producers[value].op_type
        first = [n for n, t in self.line.steps.items() if t == 0 and n not in self.line.slices]
        names = [name for name in first if self.graph.producers[name].op_type == kind]
        return max(names, key=self.graph.order.__getitem__, default=None)

    def _zeros(self, name: str, like: NDArray[Any]) -> NDArray[Any]:
        return np.zeros(self.shape(name)) if self.graph.sizes.get(name) else np.zeros_like(like)
