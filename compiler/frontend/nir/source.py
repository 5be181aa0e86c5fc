"""First pass: a NIR file to one flat graph of nodes that can be mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

from vle.compiler.frontend.nir.hdf5 import read_file
from vle.errors import CompileError

SUPPORTED = {
    "Input": "the input frame",
    "Output": "the output frame",
    "Affine": "weights and bias of the layer after it",
    "Linear": "weights of the layer after it",
    "Scale": "folded into the weights of the layer after it",
    "Flatten": "nothing: frames are flat, in the order of their elements",
    "LI": "a layer, `tau_m = tau`, `tau_r = dt`",
    "CubaLI": "two layers: its synapses, then its membranes",
    "NIRGraph": "its nodes, as `graph.node`",
}
SPIKING = "it spikes, and neurons of vle answer with rates; use LI or CubaLI"
IMAGES = "it walks over an image; write it as Linear or Affine"
REFUSED = {
    "AvgPool2d": IMAGES,
    "Conv1d": IMAGES,
    "Conv2d": IMAGES,
    "CubaLIF": SPIKING,
    "Delay": "it would need a memory of past frames; use LI",
    "I": "its potential does not leak and can grow without bound; use LI",
    "IF": SPIKING,
    "LIF": SPIKING,
    "SumPool2d": IMAGES,
    "Threshold": SPIKING,
}
DEEPEST = 16  # graphs within graphs


@dataclass(frozen=True)
class Graph:
    """Nodes by name, and the edges between them; graphs within graphs are dissolved.

    Signals enter at `entry`, the only input, and leave at `exit`, the only output.
    """

    nodes: dict[str, Any]
    edges: tuple[tuple[str, str], ...]
    entry: str
    exit: str
    metadata: dict[str, Any]

    def label(self, name: str) -> str:
        """Name of a node for messages: `name (Type)`."""
        return f"{name} ({type(self.nodes[name]).__name__})"

    def refuse(self, name: str, message: str) -> CompileError:
        """Return the error that names a node."""
        return CompileError(message, node=self.label(name))

    def before(self, name: str) -> list[str]:
        """Nodes whose sum a node hears."""
        return [a for a, b in self.edges if b == name]


def read_source(path: Path) -> Graph:
    """Read a file; every node is one of `SUPPORTED`.

    Raises
    ------
    CompileError
        If there is no such file, it is not a whole NIR graph, or a node cannot be mapped.
    """
    if not path.exists():
        raise CompileError("there is no such file")
    if not path.is_file():
        raise CompileError("must be a NIR file, not a folder, a device or a pipe")
    try:
        content = read_file(path).get("node")
        if content is None:
            raise CompileError("must be a NIR graph: this HDF5 file has no group 'node'")
        _check(content, "graph")
        graph = nir.dict2NIRNode({**content, "type_check": False})
        entry, exit_ = _door(graph, "", nir.Input), _door(graph, "", nir.Output)
        nodes, edges = _flatten(graph, "")
    except CompileError:
        raise
    except Exception as error:  # nir raises what its asserts raise
        text = " ".join(f"{type(error).__name__}: {error}".split()).removeprefix("ValueError: ")
        raise CompileError(f"must be a NIR graph; {text[:300]}") from error
    if len(set(edges)) != len(edges):
        twice = next(edge for edge in edges if edges.count(edge) > 1)
        raise CompileError(f"edge {twice[0]} -> {twice[1]} must be given once")
    return Graph(nodes, tuple(edges), entry, exit_, graph.metadata)


def _check(node: Any, name: str, depth: int = 0) -> None:
    """Refuse nodes by their type, before they are built."""
    kind = str(node["type"])
    if kind not in SUPPORTED:
        why = REFUSED.get(kind, "NIR has no such node")
        raise CompileError(f"{kind} cannot be mapped: {why}", node=f"{name} ({kind})")
    if not depth and kind != "NIRGraph":
        raise CompileError(f"must be a graph, not a single {kind}")
    if kind == "NIRGraph":
        if depth == DEEPEST:
            raise CompileError(f"graphs must be at most {DEEPEST} deep within each other")
        for inner, child in node["nodes"].items():
            _check(child, inner if not depth else f"{name}.{inner}", depth + 1)


def _flatten(graph: Any, prefix: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Dissolve the graphs within a graph; their inputs and outputs hand signals on."""
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    doors: dict[str, tuple[str, str]] = {}  # where a node is entered and left
    for name, node in graph.nodes.items():
        full = prefix + name
        doors[name] = full, full
        if isinstance(node, nir.NIRGraph):
            inner, inner_edges = _flatten(node, f"{full}.")
            nodes |= inner
            edges += inner_edges
            ports = (_door(node, f"{full}.", kind) for kind in (nir.Input, nir.Output))
            doors[name] = next(ports), next(ports)
        else:
            nodes[full] = node
    for a, b in graph.edges:
        for end in (a, b):
            if end not in doors:
                raise CompileError(f"edge {a} -> {b} must join nodes of the graph; {end} is none")
        edges.append((doors[a][1], doors[b][0]))
    return nodes, edges


def _door(graph: Any, prefix: str, kind: type) -> str:
    """Name of the only node of a kind in a graph."""
    found = [str(name) for name, node in graph.nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        where = f"{prefix.rstrip('.') or 'graph'} (NIRGraph)"
        rule = f"must have one {kind.__name__} node, not {len(found)}"
        raise CompileError(rule + f": {', '.join(found)}" * bool(found), node=where)
    return prefix + found[0]


def step_length(graph: Graph, dt: float | None, *, timed: bool) -> tuple[float, tuple[str, ...]]:
    """Return how long a step is: as asked, or as the metadata say, or 1 where nothing leaks.

    Raises
    ------
    CompileError
        If the graph has time constants and neither caller nor metadata say what a step is.
    """
    if dt is not None:
        return _positive(dt, "dt"), ()
    if not timed:
        return 1.0, ()
    if "dt" not in graph.metadata:
        raise CompileError(
            "dt must be given (--dt), in the unit of the time constants: "
            "NIR says nothing of steps, nor do the metadata of this graph"
        )
    step = _positive(graph.metadata["dt"], "dt in the metadata")
    return step, (f"a step is {step:g}, as the metadata of the graph say; --dt overrides",)


def _positive(value: Any, what: str) -> float:
    try:
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < float("inf"):
        raise CompileError(f"{what} must be a positive number, not {value!r}")
    return number
