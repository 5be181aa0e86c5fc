"""What a user says of learning: rates, steps to freeze, frames to hold."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import Points
from vle.compiler.learning.updates import SIGNAL_WIDTH
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
        For a rate that is negative, not finite, overflows or is of no layer, and for one of time
        constants where they do not learn.
    """
    layers = list(state.learning)
    if rate is not None:
        for k, value in enumerate(_each("rate", rate, len(layers))):
            check_range(net, k, "rate", value * beta)
            layers[k] = layers[k]._replace(rate=Rate.of(value * beta))
    if tau_rate is not None:
        for k, value in enumerate(_each("tau_rate", tau_rate, len(layers))):
            if value and not net.learning[k].time_constants:
                raise ValueError("tau_rate must be 0 on a chip whose time constants do not learn")
            check_range(net, k, "tau_rate", value * beta / np.log(2))
            layers[k] = layers[k]._replace(tau_rate=Rate.of(value * beta / np.log(2)))
    return LearnState(state.run, tuple(layers))


def check_range(net: LearningNetwork, index: int, name: str, value: float) -> None:
    """Refuse a rate at which the signal of the smallest error at power-up is clamped.

    Raises
    ------
    ValueError
        Naming the layer.
    """
    layer, learning = net.network.layers[index], net.learning[index]
    points = Points.of(layer, learning)
    point = points.signal if name == "rate" else points.tau
    highest = float(np.ldexp(1.0, SIGNAL_WIDTH - 1 - point - learning.exponent))
    if highest <= value < np.inf:
        raise ValueError(
            f"{name} of {layer.name} must be below {highest:g}, where it overflows, not {value:g}"
        )


def _each(name: str, rates: float | Sequence[float], layers: int) -> list[float]:
    try:
        values = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, not {rates!r:.60}") from None
    if values.shape not in ((), (layers,)):
        raise ValueError(f"{name} must be one number, or one for each of {layers} layers")
    return [float(value) for value in np.broadcast_to(values, (layers,))]


def frozen(freeze: ArrayLike, steps: int) -> NDArray[np.bool_]:
    """Check which steps update nothing; one boolean is for all of them."""
    array = np.asarray(freeze)
    if array.dtype != np.bool_:
        raise ValueError(f"freeze must be booleans, not {array.dtype}")
    if array.shape not in ((), (steps,)):
        raise ValueError(f"freeze must be booleans of shape ({steps},), not {array.shape}")
    return np.broadcast_to(array, (steps,))


def held(hold: int | None, network: Network) -> int:
    """Check for how many steps each frame is held; None: as many as the network needs."""
    if hold is None:
        return default_hold(network)
    if not isinstance(hold, numbers.Integral) or hold < 1:
        raise ValueError(f"hold must be at least 1, and whole, not {hold!r}")
    return int(hold)


def default_hold(network: Network) -> int:
    """`2 L` steps per frame where all layers are instantaneous and feedforward, else 1."""
    static = all(
        layer.recurrent is None and np.array_equal(layer.tau_m, layer.tau_r)
        for layer in network.layers
    )
    return 2 * len(network.layers) if static else 1
