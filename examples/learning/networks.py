"""Networks as they are before they learn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from vle.sim import Layer, Network


def network(
    sizes: list[int],
    taus: list[tuple[Any, Any]],
    dt: float,
    *,
    loss: str = "squared_error",
    seed: int = 0,
    scale: float = 1.0,
    recurrent: float = 0.0,
) -> Network:
    """Random layers of tanh below a linear one, that learn by filtered inputs.

    Parameters
    ----------
    sizes
        Inputs, and neurons of each layer.
    taus
        `tau_m` and `tau_r` of each layer, in seconds.
    scale
        Of weights and biases, in units of `1 / sqrt(inputs)`.
    recurrent
        Deviation of the first layer's recurrent weights, in units of `1 / sqrt(neurons)`.
    """
    rng = np.random.default_rng(seed)
    layers = []
    for k, (inputs, neurons) in enumerate(pairwise(sizes)):
        reach = scale / np.sqrt(inputs)
        own = None if k or not recurrent else recurrent / np.sqrt(neurons)
        layers.append(
            Layer(
                rng.uniform(-reach, reach, (neurons, inputs)),
                rng.uniform(-reach, reach, neurons),
                *(np.broadcast_to(tau, neurons).astype(float) for tau in taus[k]),
                "tanh" if k < len(sizes) - 2 else "identity",
                None if own is None else rng.normal(0, own, (neurons, neurons)),
            )
        )
    return Network(tuple(layers), dt, loss, plasticity="filtered", error_recurrence=False)
