"""What a network has learned, as words and as numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants
from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.learning.step import LearningState
from vle.compiler.network import NetworkSpec
from vle.sim import Layer, Network


def present(net: LearningNetwork, state: LearnState) -> NetworkSpec:
    """Layers with the words that they have learned so far."""
    layers = []
    for layer, learned in zip(net.network.layers, state.learning, strict=True):
        changed = replace(layer, weight=learned.weight, bias=learned.bias)
        if learned.logs is not None:
            constants = time_constants.derive(learned.logs)
            changed = replace(changed, alpha=constants.alpha, rho=constants.rho)
        layers.append(changed)
    return NetworkSpec(tuple(layers))


def float_network(reference: Network, net: LearningNetwork, state: LearnState) -> Network:
    """Return the float network whose words a chip now holds.

    `W = weight * 2**-f_w`, `b = bias * 2**-f_u`, and where time constants learn
    `tau = dt * 2**log`.

    Parameters
    ----------
    reference
        What the chip was made from: activations, settings, and time constants that do not learn.
    net, state
        What it has become.
    """
    rows = zip(reference.layers, net.network.layers, net.learning, state.learning, strict=True)
    layers = tuple(_layer(reference.dt, *row) for row in rows)
    return replace(reference, layers=layers)


def _layer(
    dt: float, source: Layer, layer: LayerSpec, learning: LearningSpec, state: LearningState
) -> Layer:
    matrix = np.ldexp(state.weight.astype(np.float64), -Points.of(layer, learning).weight)
    tau_m, tau_r = source.tau_m, source.tau_r
    if state.logs is not None:
        tau_m, tau_r = (dt * np.exp2(np.ldexp(log, -time_constants.LOG_BITS)) for log in state.logs)
    return Layer(
        matrix[:, : layer.inputs],
        layer.u_format.real(state.bias),
        tau_m,
        tau_r,
        source.activation,
        matrix[:, layer.inputs :] if layer.recurrent else None,
    )
