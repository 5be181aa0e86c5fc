"""The exact gradient by JAX: reverse mode through a scan over `vle.sim.dynamics`, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from vle.sim import losses
from vle.sim.dynamics import LayerParameters, Settings, reset, step

Array = Any


def summed_cost(
    parameters: Sequence[LayerParameters], x: Array, y: Array, settings: Settings
) -> Array:
    """Return ``beta`` times the cost, summed over steps and sequences from reset.

    The cost of step ``t`` compares ``y[t]`` with the rate of step ``t - 1``, as the network does.
    Traceable by JAX; ``x`` is ``(T, ..., inputs)``, ``y`` as `vle.sim.losses.cost` takes it, one
    per step.
    """

    def scanned(states: Any, frame: tuple[Array, Array]) -> tuple[Any, Array]:
        inputs, target = frame
        cost = losses.cost(settings.loss, states[-1].r, target)
        states, _ = step(parameters, states, inputs, None, settings)
        return states, cost.sum()

    states = reset(parameters, x.shape[1:-1], errors=False)
    _, costs = jax.lax.scan(scanned, states, (x, y))
    return settings.beta * costs.sum()


def reverse_gradient(
    parameters: Sequence[LayerParameters], settings: Settings, x: Array, y: Array
) -> tuple[LayerParameters, ...]:
    """Return the gradient of `summed_cost` in float64, as NumPy arrays.

    Parameters
    ----------
    parameters, settings
        Of the network.
    x
        ``(T, inputs)`` or ``(T, batch, inputs)``.
    y
        Targets, one per step, as `vle.sim.losses.cost` takes them.

    Returns
    -------
    A gradient per layer, in the form of its parameters.
    """
    forward = tuple(p._replace(backward=None) for p in parameters)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jax.numpy.asarray, (forward, x, np.asarray(y)))
        gradient = _gradient(*arrays, settings)
        numpy: tuple[LayerParameters, ...] = jax.tree.map(np.asarray, gradient)
    return numpy


@partial(jax.jit, static_argnums=3)
def _gradient(parameters: Any, x: Array, y: NDArray[Any], settings: Settings) -> Any:
    return jax.grad(summed_cost)(parameters, x, y, settings)
