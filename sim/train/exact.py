"""The objective of exact learning: run the network through time, judge what it answered."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vle.sim import losses
from vle.sim.dynamics import Settings, reset, step

Array = Any


class Episode(NamedTuple):
    """A batch of sequences, ready to run.

    `x` (T', n, inputs); `target` (T', n, outputs), of output frame t, NaN for none; `start` (T',)
    marks the first frame where the network is aligned, else it is None.
    """

    x: Array
    target: Array
    start: Array | None


def run(parameters: Any, settings: Settings, episode: Episode) -> Array:
    """Return the output of every step, shape (T', n, outputs)."""
    batch = episode.x.shape[1:-1]
    states = reset(parameters, batch, errors=False, held=None if episode.start is None else True)

    def frame(states: Any, now: tuple[Array, Array | None]) -> tuple[Any, Array]:
        x, start = now
        flag = None if start is None else jnp.broadcast_to(start, batch)
        states, _ = step(parameters, states, x, None, settings, start=flag)
        return states, states[-1].r

    _, output = jax.lax.scan(frame, states, (episode.x, episode.start))
    return output


def objective(parameters: Any, settings: Settings, episode: Episode, gain: float) -> Array:
    """Mean cost of a batch.

    Classes: cross-entropy of `softmax(gain * mean of the output over the steps with a target)`.
    Values: the cost per step, averaged over the steps with a target.
    """
    output = run(parameters, settings, episode)
    if settings.loss == "squared_error":
        return mean_cost(output, settings, episode)
    present = ~jnp.isnan(episode.target[..., :1])
    count = jnp.sum(present, axis=0)
    answer = jnp.sum(jnp.where(present, output, 0), axis=0) / count
    label = jnp.sum(jnp.where(present, episode.target, 0), axis=0) / count
    return losses.cost("cross_entropy", gain * answer, label).mean()


def mean_cost(output: Array, settings: Settings, episode: Episode) -> Array:
    """Return the cost per step, averaged over the steps that have a target."""
    present = ~jnp.any(jnp.isnan(episode.target), axis=-1)
    costs = losses.cost(settings.loss, output, episode.target)
    return jnp.sum(costs) / jnp.sum(present)
