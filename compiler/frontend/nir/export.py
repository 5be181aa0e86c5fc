"""The other way: a network of leaky integrators as a NIR graph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nir
import numpy as np

from vle.sim import Layer, Network


def save(network: Network, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write a network as a NIR graph, whole or not at all; return what NIR cannot say.

    A layer with ``tau_r = dt`` is ``Affine -> LI``, with a ``Linear`` from the LI to itself where
    it is recurrent; one with ``tau_r = tau_m`` is ``Affine``. Any other linear layer is both, since
    with ``alpha = dt/tau_m``, ``rho = tau_r/tau_m`` and ``c = W x + b`` ::

        r = k v + (rho - k alpha) c    k = (1 - rho)/(1 - alpha)    tau_m dv/dt = c - v

    where ``v`` is the potential after the step, which is what an LI answers. The step goes into the
    metadata as ``dt``.

    Parameters
    ----------
    network
        Of layers whose activation is the identity.
    path
        The file; one that is there is replaced.

    Returns
    -------
    Notes, one line each.

    Raises
    ------
    ValueError
        For a network that NIR has no nodes for; the message names the layer.
    OSError
        If the file cannot be written.
    """
    graph = to_graph(network)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        nir.write(part, graph)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return unsaid(network)


def to_graph(network: Network) -> Any:
    """Return a network as a `nir.NIRGraph`; see `save`."""
    writer = _Writer(network.inputs)
    for index, layer in enumerate(network.layers):
        writer.add(f"layer{index}", layer, network.dt)
    return writer.graph(network.outputs, {"dt": network.dt})


def unsaid(network: Network) -> tuple[str, ...]:
    """Return what a NIR graph leaves out of a network."""
    notes = [
        f"NIR says nothing of steps: dt = {network.dt:g} is in the metadata",
        f"NIR says nothing of learning: loss {network.loss}, gamma, beta and the rule are left out",
    ]
    if any(layer.backward is not None for layer in network.layers):
        notes.append("NIR says nothing of backward matrices, which are left out")
    if not network.aligned and network.latency_steps:
        late = network.latency_steps
        notes.append(
            f"layers of a NIR graph hear each other at once: its output t is that of "
            f"run(aligned=True), which answers {late} step{'s' * (late > 1)} earlier"
        )
    return tuple(notes)


class _Writer:
    """Nodes and edges so far, and the nodes whose sum is heard next."""

    def __init__(self, inputs: int) -> None:
        self.nodes: dict[str, Any] = {"input": nir.Input({"input": np.array([inputs])})}
        self.edges: list[tuple[str, str]] = []
        self.heard = ["input"]

    def graph(self, outputs: int, metadata: dict[str, Any]) -> Any:
        """Close the graph."""
        self._node("output", nir.Output({"output": np.array([outputs])}), self.heard)
        return nir.NIRGraph(self.nodes, self.edges, metadata=metadata)

    def add(self, name: str, layer: Layer, dt: float) -> None:
        """Add a layer: its current, what of it lasts, and what looks ahead."""
        lasting, instant = _shares(layer, name, dt)
        affine = nir.Affine(np.array(layer.weight), np.array(layer.bias))
        current = self._node(f"{name}.current", affine, self.heard)
        heard = []
        if lasting.any():
            ones = np.ones(layer.outputs)
            leaky = nir.LI(tau=np.array(layer.tau_m), r=ones, v_leak=0 * ones)
            self._node(name, leaky, [current])
            if layer.recurrent is not None:
                loop = self._node(
                    f"{name}.recurrent", nir.Linear(np.array(layer.recurrent)), [name]
                )
                self.edges.append((loop, name))
            heard.append(self._scaled(name, f"{name}.lasting", lasting))
        if instant.any():
            heard.append(self._scaled(current, f"{name}.instant", instant))
        self.heard = heard

    def _node(self, name: str, node: Any, before: list[str]) -> str:
        self.nodes[name] = node
        self.edges += [(other, name) for other in before]
        return name

    def _scaled(self, source: str, name: str, scale: Any) -> str:
        """Scale a signal, where that changes it."""
        return source if np.all(scale == 1) else self._node(name, nir.Scale(scale), [source])


def _shares(layer: Layer, name: str, dt: float) -> tuple[Any, Any]:
    """Shares of the potential after the step, and of the current, in the rate of each neuron."""
    if layer.activation.name != "identity":
        rule = f"activation of {name} must be identity, as NIR has no other"
        raise ValueError(f"{rule}, not {layer.activation.name}")
    alpha, rho = dt / layer.tau_m, layer.tau_r / layer.tau_m
    plain = layer.tau_r == dt
    if layer.recurrent is not None and not plain.all():
        tau = float(layer.tau_r[~plain][0])
        rule = f"tau_r of {name} must be dt = {dt:g}, as a loop of NIR has no other look-ahead"
        raise ValueError(f"{rule}, not {tau!r}")
    static = layer.tau_m == layer.tau_r
    if np.any((alpha == 1) & ~static):
        raise ValueError(
            f"tau_m of {name} must be longer than dt = {dt:g}, or equal to tau_r; "
            "NIR has no memory of the current of the step before"
        )
    remaining = np.where(static, 1.0, 1 - alpha)
    lasting = np.where(plain, 1.0, np.where(static, 0.0, (1 - rho) / remaining))
    return lasting, np.where(plain, 0.0, rho - lasting * alpha)
