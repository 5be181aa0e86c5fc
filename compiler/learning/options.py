"""What a user says of learning: rates, steps to freeze, frames to hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.rate import Rate
from vle.sim import Network

Rates = float | Sequence[float] | None


def with_rates(
    net: LearningNetwork, state: LearnState, rate: Rates, tau_rate: Rates, beta: float
) -> LearnState:
    """Return the state with other learning rates; None leaves those that there are.

    The loss counts `beta` times, so the words of rates do.

    Raises
    ------
    ValueError
        For a rate that is negative, not finite or of no layer, and for one of time constants where
        they do not learn.
    """
    layers = list(state.learning)
    if rate is not None:
        for k, value in enumerate(_each("rate", rate, len(layers))):
            layers[k] = layers[k]._replace(rate=Rate.of(value * beta))
    if tau_rate is not None:
        for k, value in enumerate(_each("tau_rate", tau_rate, len(layers))):
            if value and not net.learning[k].time_constants:
                raise ValueError("tau_rate must be 0 on a chip whose time constants do not learn")
            layers[k] = layers[k]._replace(tau_rate=Rate.of(value * beta / np.log(2)))
    return LearnState(state.run, tuple(layers))


def _each(name: str, rates: float | Sequence[float], layers: int) -> list[float]:
    values = np.asarray(rates, dtype=np.float64)
    if values.shape not in ((), (layers,)):
        raise ValueError(f"{name} must be one number, or one for each of {layers} layers")
    return [float(value) for value in np.broadcast_to(values, (layers,))]


def frozen(freeze: ArrayLike, steps: int) -> NDArray[np.bool_]:
    """Check which steps update nothing."""
    array = np.asarray(freeze)
    if array.dtype != np.bool_ or array.shape != (steps,):
        raise ValueError(f"freeze must be booleans of shape ({steps},), not {array.shape}")
    return array


def default_hold(network: Network) -> int:
    """`2 L` steps per frame where all layers are instantaneous and feedforward, else 1."""
    static = all(
        layer.recurrent is None and np.array_equal(layer.tau_m, layer.tau_r)
        for layer in network.layers
    )
    return 2 * len(network.layers) if static else 1
