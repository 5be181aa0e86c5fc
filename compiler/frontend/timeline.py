"""Which step of a written-out loop each value belongs to, and whether two steps are alike."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np

from vle.compiler.frontend.graph import Graph
from vle.compiler.frontend.slices import Slice, slice_of

SHAPES = ("Identity", "Reshape", "Squeeze", "Unsqueeze")


def timeline_of(graph: Graph) -> Timeline:
    """Return the timeline of a graph, which all its values share."""
    if graph not in _KNOWN:
        _KNOWN[graph] = Timeline(weakref.proxy(graph))
    return _KNOWN[graph]


@dataclass
class Timeline:
    """The values of a graph by the latest frame that they depend on.

    Parameters
    ----------
    graph
        The graph.
    steps
        The latest frame that a value depends on, by its name.
    slices
        The values that are frames themselves.
    free
        Values that depend on an input other than by frames.
    """

    graph: Graph
    steps: dict[str, int] = field(default_factory=dict)
    slices: dict[str, Slice] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)

    def bare(self, name: str) -> str:
        """Go back through nodes that only add or remove axes."""
        while name in self.graph.producers and self.graph.producers[name].op_type in SHAPES:
            name = self.graph.producers[name].input[0]
        return name

    def explore(self, value: str) -> bool:
        """Find the step of a value and of all before it; False where an input is reached."""
        stack = [value]
        while stack:
            name = stack[-1]
            if name in self.steps or name in self.free:
                stack.pop()
                continue
            if (found := slice_of(self.graph, name)) is not None:
                self.slices[name], self.steps[name] = found, found.t
                continue
            if name in self.graph.inputs:
                self.free.add(name)
                continue
            inputs = [n for n in self.graph.producers[name].input if n in self.graph.signals]
            missing = [n for n in inputs if n not in self.steps and n not in self.free]
            stack += missing
            if not missing and self.free.isdisjoint(inputs) and inputs:
                self.steps[name] = max(self.steps[n] for n in inputs)
            elif not missing:
                self.free.add(name)
        return value in self.steps

    def heard(self, values: list[str]) -> dict[str, Slice]:
        """Return the frames that some values depend on, not through others."""
        found: dict[str, Slice] = {}
        seen: set[str] = set()
        stack = list(values)
        while stack:
            name = stack.pop()
            if name in self.slices:
                found[name] = self.slices[name]
            elif name not in seen:
                seen.add(name)
                inputs = self.graph.producers[name].input
                stack += [n for n in inputs if n in self.graph.signals]
        return found

    def pair(self, value: str, partner: str, t: int) -> dict[str, str] | None:
        """Pair every value of step `t` with one of step `t - 1`; None where they differ."""
        pairs: dict[str, str] = {}
        todo = [(value, partner)]
        while todo:
            a, b = todo.pop()
            if pairs.get(a, b) != b:
                return None
            if a in pairs:
                continue
            pairs[a] = b
            steps = self.steps.get(a, -1), self.steps.get(b, -1)
            if steps[0] == t - 1 and a not in self.slices:
                if steps[1] >= t - 1:  # the partner of a state is of the step before, or stored
                    return None
                continue
            inputs = self._alike(a, b) if steps == (t, t - 1) else None
            if inputs is None:
                return None
            todo += inputs
        return pairs

    def before(self, value: str, t: int) -> dict[str, str] | None:
        """As `pair`, with the partner found among the values of the step before."""
        kind = self.graph.producers[value].op_type
        for name, step in sorted(self.steps.items(), key=lambda i: -self.graph.order.get(i[0], -1)):
            if step != t - 1 or name in self.slices or self.graph.producers[name].op_type != kind:
                continue
            pairs = self.pair(value, name, t)
            if pairs is not None:
                return pairs
        return None

    def _alike(self, a: str, b: str) -> list[tuple[str, str]] | None:
        """Return the inputs to compare of two nodes that are alike; None where they are not."""
        if a in self.slices or b in self.slices:
            return [] if a in self.slices and b in self.slices else None
        one, other = self.graph.producers[a], self.graph.producers[b]
        if (one.op_type, one.domain, len(one.input)) != (
            other.op_type,
            other.domain,
            len(other.input),
        ) or sorted(x.SerializeToString() for x in one.attribute) != sorted(
            x.SerializeToString() for x in other.attribute
        ):
            return None
        inputs = []
        for x, y in zip(one.input, other.input, strict=True):
            if x in self.graph.signals:
                inputs.append((x, y))
            elif x != y and not self._same(x, y):
                return None
        return inputs

    def _same(self, x: str, y: str) -> bool:
        a, b = self.graph.constants.get(x), self.graph.constants.get(y)
        return a is not None and b is not None and np.array_equal(a, b)

    def states(self, pairs: dict[str, str], t: int) -> dict[str, str]:
        """By the name before step `t - 1`: what a state is after it."""
        return {
            b: a for a, b in pairs.items() if self.steps.get(a) == t - 1 and a not in self.slices
        }


_KNOWN: weakref.WeakKeyDictionary[Graph, Timeline] = weakref.WeakKeyDictionary()
