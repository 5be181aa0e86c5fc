"""Second moments of what each neuron hears, through the filter that its potential applies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.sim import Layer, Network

Float = NDArray[np.float64]

GROUPS = 4  # distinct pairs of time constants per layer that get moments of their own
FRAMES = 2048  # filtered frames kept per layer


class Moments(NamedTuple):
    """Second moments per group of neurons of like time constants."""

    group: NDArray[np.int64]  # of each neuron, (outputs,)
    matrix: Float  # (groups, columns + 1, columns + 1)


def input_moments(network: Network, heard: tuple[Float, ...]) -> tuple[Moments, ...]:
    """Mean of `xbar xbar^T` for the neurons of each layer, `xbar` with a last constant 1.

    A neuron's prospective potential is linear in its weights: `prosp_i = w_i xbar_i`, with
    `xbar_i = (1 + tau_r,i d/dt)/(1 + tau_m,i d/dt) x` its inputs through its own filter. So these
    moments turn an error of its weights into the mean squared error of its prospective potential.

    Parameters
    ----------
    network
        The float network.
    heard
        What each layer heard, `(T, batch, columns)`.

    Returns
    -------
    The moments of each layer, in real units.
    """
    return tuple(
        _layer_moments(layer, x, network.dt) for layer, x in zip(network.layers, heard, strict=True)
    )


def _layer_moments(layer: Layer, x: Float, dt: float) -> Moments:
    group, pairs = _groups(dt / layer.tau_m, layer.tau_r / layer.tau_m)
    every = max(1, x.shape[0] * x.shape[1] // FRAMES) | 1
    per_group = [_moments(x, alpha, rho, every) for alpha, rho in pairs]
    return Moments(group, np.stack(per_group))


def _groups(alpha: Float, rho: Float) -> tuple[NDArray[np.int64], list[tuple[float, float]]]:
    """Put neurons of near time constants together, by their rank."""
    keys = np.stack([alpha, rho], axis=1)
    distinct, index = np.unique(keys, axis=0, return_inverse=True)
    index = index.reshape(-1)
    if len(distinct) > GROUPS:
        index = index * GROUPS // len(distinct)
    members = [keys[index == g] for g in range(index.max() + 1)]
    pairs = [(float(m[:, 0].mean()), float(m[:, 1].mean())) for m in members]
    return index, pairs


def _moments(x: Float, alpha: float, rho: float, every: int) -> Float:
    low = np.zeros(x.shape[1:])
    if rho != 1.0:
        filtered = np.empty_like(x)
        for t, frame in enumerate(x):
            filtered[t] = low + rho * (frame - low)
            low = low + alpha * (frame - low)
        x = filtered
    frames = x.reshape(-1, x.shape[-1])[::every]
    frames = np.concatenate([frames, np.ones((len(frames), 1))], axis=1)
    return np.asarray(frames.T @ frames / len(frames))
