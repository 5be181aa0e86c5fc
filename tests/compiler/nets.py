"""Float networks of random sizes and activations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vle.sim import Activation, Layer, Network
from vle.sim.activations import NAMES


def random_layer(
    rng: np.random.Generator,
    inputs: int,
    outputs: int,
    activation: str | Activation | None = None,
    *,
    recurrent: bool = False,
    instantaneous: bool = False,
) -> Layer:
    tau_m = rng.uniform(1, 6, outputs)
    return Layer(
        rng.normal(size=(outputs, inputs)) / np.sqrt(inputs),
        rng.normal(size=outputs) * 0.3,
        tau_m,
        tau_m if instantaneous else rng.uniform(1, 3, outputs),
        activation or NAMES[rng.integers(len(NAMES))],
        rng.normal(size=(outputs, outputs)) / outputs if recurrent else None,
    )


def random_network(
    rng: np.random.Generator,
    sizes: list[int],
    *,
    recurrent: bool = False,
    aligned: bool = False,
    **options,
) -> Network:
    layers = [random_layer(rng, i, o, recurrent=recurrent, **options) for i, o in pairwise(sizes)]
    return Network(tuple(layers), 1.0, aligned=aligned)


def random_signal(rng: np.random.Generator, steps: int, batch: int, inputs: int) -> np.ndarray:
    """From still to noisy, within -1..1."""
    return np.clip(rng.normal(size=(steps, batch, inputs)).cumsum(axis=0) * 0.2, -1, 1)
