"""Second pass: the signal at each node, as an affine map of the input and of what has memory."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.compiler.frontend.nir.source import Graph

Floats = NDArray[np.float64]
WEIGHTS = 2**26  # most of one matrix
STATEFUL = ("LI", "CubaLI")
SYNAPSES = ".synapses"  # what they are called, after the name of their node


@dataclass(frozen=True)
class Signal:
    """``sum of matrix @ source + offset`` over sources by name; None is the identity matrix."""

    parts: dict[str, Floats | None]
    offset: Floats

    @property
    def width(self) -> int:
        """Number of elements."""
        return len(self.offset)

    def plus(self, other: Signal) -> Signal:
        """Return the sum of two signals of one width."""
        parts = dict(self.parts)
        for source in other.parts:
            both = source in parts
            parts[source] = (
                self.dense(source) + other.dense(source) if both else other.parts[source]
            )
        return Signal(parts, self.offset + other.offset)

    def through(self, weight: Floats, bias: Floats) -> Signal:
        """Return ``weight @ signal + bias``."""
        parts = {s: weight if m is None else weight @ m for s, m in self.parts.items()}
        return Signal(dict(parts), weight @ self.offset + bias)

    def scaled(self, scale: Floats, shift: Floats | float = 0.0) -> Signal:
        """Return ``scale * signal + shift``."""
        offset = scale * self.offset + shift
        if np.all(scale == 1):
            return Signal(self.parts, offset)
        return Signal({s: scale[:, None] * self.dense(s) for s in self.parts}, offset)

    def dense(self, source: str) -> Floats:
        """Matrix of one source, written out."""
        matrix = self.parts[source]
        return np.eye(self.width) if matrix is None else matrix


@dataclass(frozen=True)
class Integrator:
    """``tau dv/dt = drive - v`` for each neuron; `node` is its label in messages."""

    node: str
    tau: Floats
    drive: Signal


@dataclass(frozen=True)
class System:
    """All that a graph computes: leaky integrators that hear sources, and what is heard outside.

    Sources are the integrators, by name, and the input of width `inputs`, whose name is `entry`.
    """

    entry: str
    inputs: int
    integrators: dict[str, Integrator]
    output: Signal
    notes: tuple[str, ...] = ()


def read_system(graph: Graph) -> System:
    """Write a graph as leaky integrators and matrices between them.

    Raises
    ------
    CompileError
        If signals do not fit, or a loop has no memory; the message names the node.
    """
    used = _leading(graph)
    notes = tuple(
        f"{graph.label(name)} does not lead to the output and is left out"
        for name in graph.nodes
        if name not in used and name != graph.entry
    )
    reader = _Reader(graph)
    for name in _order(graph, used):
        reader.read(name)
    inputs = reader.given[graph.entry].width
    return System(graph.entry, inputs, reader.integrators, reader.given[graph.exit], notes)


class _Reader:
    """What each node gives, as far as the walk has come."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.integrators: dict[str, Integrator] = {}
        self.given = {graph.entry: _source(graph.entry, self._size(graph.entry, "input_type"))}
        for name, node in graph.nodes.items():  # heard by others before they are read
            if type(node).__name__ in STATEFUL:
                self.given[name] = _source(name, self._array(name, "v_leak").size)

    def read(self, name: str) -> None:
        """Work out what a node gives from what it hears."""
        if name == self.graph.entry:
            if self.graph.before(name):
                raise self.graph.refuse(name, "the input must hear no other node")
            return
        heard, kind = self._heard(name), type(self.graph.nodes[name]).__name__
        if kind in STATEFUL:
            self._integrate(name, kind, heard)
        elif kind in ("Affine", "Linear"):
            self.given[name] = self._matrix(name, kind, heard)
        elif kind == "Scale":
            self.given[name] = heard.scaled(self._vector(name, "scale", heard.width))
        else:  # inputs and outputs of graphs within graphs, Flatten, the output
            if kind == "Output":
                self._fit(name, heard.width, self._size(name, "output_type"))
            self.given[name] = heard

    def _heard(self, name: str) -> Signal:
        """Sum of what comes in."""
        before = self.graph.before(name)
        if not before:
            raise self.graph.refuse(name, "must hear another node, not none")
        total = self.given[before[0]]
        for other in before[1:]:
            if self.given[other].width != total.width:
                rule = f"must hear signals of one width, not {total.width} of {before[0]}"
                raise self.graph.refuse(name, f"{rule} and {self.given[other].width} of {other}")
            self._limit(name, total.width, self.given[other])
            total = total.plus(self.given[other])
        return total

    def _integrate(self, name: str, kind: str, heard: Signal) -> None:
        """Take up a leaky integrator, ``tau dv/dt = v_leak - v + r I``, behind its synapses."""
        width = self.given[name].width
        self._fit(name, heard.width, width)
        resistance, leak = (self._vector(name, field, width) for field in ("r", "v_leak"))
        self._limit(name, width, heard)
        if kind == "CubaLI":
            weighed = heard.scaled(self._vector(name, "w_in", width))
            self._add(name + SYNAPSES, name, "tau_syn", weighed)
            heard = _source(name + SYNAPSES, width)
        tau = "tau_mem" if kind == "CubaLI" else "tau"
        self._add(name, name, tau, heard.scaled(resistance, leak))

    def _add(self, source: str, name: str, field: str, drive: Signal) -> None:
        tau = self._vector(name, field, drive.width)
        if not np.all(tau > 0):
            raise self.graph.refuse(name, f"{field} must be positive, not {float(tau.min())!r}")
        if source in self.integrators:
            raise self.graph.refuse(name, f"must leave the name {source} to its synapses")
        self.integrators[source] = Integrator(self.graph.label(name), tau, drive)

    def _matrix(self, name: str, kind: str, heard: Signal) -> Signal:
        weight = self._array(name, "weight")
        if weight.ndim != 2 or weight.shape[1] != heard.width or not weight.size:
            rule = f"weight must be of shape (out, {heard.width})"
            raise self.graph.refuse(name, f"{rule}, as its input is, not {weight.shape}")
        outputs = len(weight)
        self._limit(name, outputs, heard)
        bias = self._vector(name, "bias", outputs) if kind == "Affine" else np.zeros(outputs)
        return heard.through(weight, bias)

    def _vector(self, name: str, field: str, width: int) -> Floats:
        """Parameter with one number per element, or one for all."""
        array = self._array(name, field).reshape(-1)
        if array.size not in (1, width):
            rule = f"{field} must have {width} elements, as many as its signal"
            raise self.graph.refuse(name, f"{rule}, not {array.size}")
        return np.broadcast_to(array, width)

    def _array(self, name: str, field: str) -> Floats:
        value = np.asarray(getattr(self.graph.nodes[name], field))
        if value.dtype.kind not in "fiu" or not np.all(np.isfinite(value)):
            raise self.graph.refuse(name, f"{field} must be real numbers, all finite")
        return value.astype(np.float64)

    def _size(self, name: str, field: str) -> int:
        """Elements of a frame."""
        shape: Any = next(iter((getattr(self.graph.nodes[name], field) or {None: None}).values()))
        sizes = [] if shape is None else [int(n) for n in np.asarray(shape).reshape(-1)]
        if not sizes or min(sizes) < 1:
            raise self.graph.refuse(name, f"shape must be of positive numbers, not {shape}")
        count = int(np.prod(sizes, dtype=object))
        if count > WEIGHTS:
            raise self.graph.refuse(name, f"shape must have at most {WEIGHTS} elements")
        return count

    def _fit(self, name: str, heard: int, width: int) -> None:
        if heard != width:
            raise self.graph.refuse(name, f"must hear {width} elements, not {heard}")

    def _limit(self, name: str, rows: int, heard: Signal) -> None:
        """Refuse matrices that would fill the memory."""
        for source in heard.parts:
            columns = self.given.get(source, heard).width
            if rows * columns > WEIGHTS:
                rule = f"must make a matrix of at most {WEIGHTS} weights"
                raise self.graph.refuse(name, f"{rule}, not {rows} x {columns}")


def _source(name: str, width: int) -> Signal:
    return Signal({name: None}, np.zeros(width))


def _leading(graph: Graph) -> set[str]:
    """Nodes that lead to the output."""
    if any(a == graph.exit for a, _ in graph.edges):
        raise graph.refuse(graph.exit, "the output must not be heard by other nodes")
    found, waiting = {graph.exit}, [graph.exit]
    while waiting:
        fresh = set(graph.before(waiting.pop())) - found
        found |= fresh
        waiting += fresh
    return found


def _order(graph: Graph, used: set[str]) -> list[str]:
    """Nodes of the graph, each after those that it hears without delay."""
    memory = {name for name in used if type(graph.nodes[name]).__name__ in STATEFUL}
    before = {
        name: [other for other in graph.before(name) if other not in memory]
        for name in graph.nodes
        if name in used
    }
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        loop = [str(name) for name in error.args[1]]
        rule = f"a loop must pass through LI or CubaLI, not only {' -> '.join(loop)}"
        raise graph.refuse(loop[0], rule) from None
