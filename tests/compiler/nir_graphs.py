"""NIR graphs, and forward Euler written from NIR's own equations, node by node."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np

from vle.compiler.frontend.nir import hdf5


def vector(rng, width, low=-1.0, high=1.0):
    return rng.uniform(low, high, width)


def entry(width):
    return nir.Input({"input": np.array([width])})


def exit_(width):
    return nir.Output({"output": np.array([width])})


def affine(rng, out, in_):
    return nir.Affine(rng.normal(size=(out, in_)) / np.sqrt(in_), vector(rng, out))


def linear(rng, out, in_, gain=1.0):
    return nir.Linear(gain * rng.normal(size=(out, in_)) / np.sqrt(in_))


def leaky(rng, width, low=0.05, high=0.5):
    return nir.LI(vector(rng, width, low, high), vector(rng, width, 0.5, 2), vector(rng, width))


def cuba(rng, width):
    return nir.CubaLI(
        tau_syn=vector(rng, width, 0.05, 0.2),
        tau_mem=vector(rng, width, 0.1, 0.5),
        r=vector(rng, width, 0.5, 2),
        v_leak=vector(rng, width),
        w_in=vector(rng, width, 0.5, 2),
    )


def graph(nodes, *edges, metadata=None):
    """Graph with edges written as `a>b>c`."""
    chains = [edge.split(">") for edge in edges]
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    return nir.NIRGraph(nodes, pairs, metadata=metadata or {}, type_check=False)


def euler(g, order, x, dt):
    """Answer of a graph to `(T, inputs)`: each node in `order`, once per step.

    A node that comes later in the order is heard as it was in the step before.
    """
    given = {name: 0 * getattr(node, "v_leak", 0.0) for name, node in g.nodes.items()}
    v = dict.fromkeys(g.nodes, 0.0)
    current = dict.fromkeys(g.nodes, 0.0)
    out = []
    for frame in x:
        for name in order:
            node = g.nodes[name]
            heard = sum(given[a] for a, b in g.edges if b == name)
            match type(node).__name__:
                case "Input":
                    given[name] = frame
                case "Affine":
                    given[name] = node.weight @ heard + node.bias
                case "Linear":
                    given[name] = node.weight @ heard
                case "Scale":
                    given[name] = node.scale * heard
                case "LI":
                    v[name] += dt / node.tau * ((node.v_leak - v[name]) + node.r * heard)
                    given[name] = v[name] + 0
                case "CubaLI":
                    i = current[name]
                    i = current[name] = i + dt / node.tau_syn * (-i + node.w_in * heard)
                    v[name] += dt / node.tau_mem * ((node.v_leak - v[name]) + node.r * i)
                    given[name] = v[name] + 0
                case _:
                    given[name] = heard
        out.append(given[order[-1]])
    return np.array(out)


def read_here(monkeypatch):
    """Read sound files without a process of their own, which would cost most of the time."""
    monkeypatch.setattr(
        "vle.compiler.frontend.nir.source.read_file", lambda path: hdf5._read(str(path))
    )
