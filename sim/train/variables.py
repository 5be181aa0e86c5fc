"""What the optimizer moves: parameters in float32, time constants as logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vle.sim.dynamics import LayerParameters
from vle.sim.gradients.local import FILTERED
from vle.sim.network import Layer, Network
from vle.sim.tasks import Task
from vle.sim.train.recipe import Recipe

Variables = tuple[LayerParameters, ...]  # tau_m and tau_r hold their logarithms


def initial_network(task: Task, recipe: Recipe) -> Network:
    """Return the untrained network: normal weights of variance 1 / inputs, the recipe's taus."""
    rng = np.random.default_rng([recipe.seed, 0])
    widths = (task.inputs, *recipe.widths, task.outputs)
    layers = []
    for index, (below, width) in enumerate(pairwise(widths)):
        last = index == len(widths) - 2
        linear = last or (index == 0 and len(recipe.widths) > 2)
        weight = rng.normal(0, 1 / np.sqrt(below), (width, below))
        bias = rng.uniform(-0.5, 0.5, width) if index == 0 and not last else np.zeros(width)
        tau_m, tau_r = _output_tau(width, task) if last else _hidden_tau(recipe.tau, width, task.dt)
        activation: Any = "identity" if linear else recipe.activation
        layers.append(Layer(weight, bias, tau_m, tau_r, activation))
    loss = "cross_entropy" if task.classes else "squared_error"
    plasticity = "filtered" if recipe.learning in FILTERED else "prospective"
    aligned = task.lengths is not None  # sequences of unlike lengths: answer every frame
    return Network(tuple(layers), task.dt, loss=loss, plasticity=plasticity, aligned=aligned)


def _output_tau(width: int, task: Task) -> tuple[Any, Any]:
    """Classifiers answer at once; regression starts with a leaky, learning output layer."""
    tau_m = np.full(width, 6 * task.dt)
    return tau_m, tau_m if task.classes else np.full(width, task.dt * 1.25)


def _hidden_tau(kind: str, width: int, dt: float) -> tuple[Any, Any]:
    """Return `(tau_m, tau_r)` of a hidden layer; the last third is instantaneous."""
    tau_m, tau_r = np.full(width, 6 * dt), np.full(width, 6 * dt)
    leaky = min(width, 2 * (width // 3) + 2)
    if kind == "spread":
        tau_m[:leaky] = np.geomspace(2 * dt, 30 * dt, leaky)
        tau_r[:leaky] = 1.25 * dt
    elif kind == "groups":
        tau_m[: leaky // 2] = 3 * dt
        tau_r[:leaky] = dt
    return tau_m, tau_r


def from_network(network: Network) -> Variables:
    """Return a network's parameters as what the optimizer moves."""
    logged = (p._replace(tau_m=np.log(p.tau_m), tau_r=np.log(p.tau_r)) for p in network.parameters)
    variables: Variables = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tuple(logged))
    return variables


def to_parameters(variables: Variables, dt: float) -> tuple[LayerParameters, ...]:
    """Return the parameters as `vle.sim.dynamics` takes them, with `tau >= dt`."""
    return tuple(
        p._replace(tau_m=jnp.maximum(jnp.exp(p.tau_m), dt), tau_r=jnp.maximum(jnp.exp(p.tau_r), dt))
        for p in variables
    )


def project(variables: Any, dt: float, tau_steps_max: float) -> Variables:
    """Return the variables with every time constant in `dt` to `tau_steps_max * dt`."""
    low, high = float(np.log(dt)), float(np.log(dt * tau_steps_max))
    return tuple(
        p._replace(tau_m=jnp.clip(p.tau_m, low, high), tau_r=jnp.clip(p.tau_r, low, high))
        for p in variables
    )


def to_network(variables: Variables, like: Network) -> Network:
    """Return `like` with the variables' parameters, in float64."""

    def tau(a: Any, old: Any) -> Any:
        unchanged = np.float32(np.log(old)) == np.asarray(a)
        return np.where(unchanged, old, np.maximum(np.exp(np.asarray(a, np.float64)), like.dt))

    return like.with_parameters(
        p._replace(tau_m=tau(p.tau_m, old.tau_m), tau_r=tau(p.tau_r, old.tau_r))
        for p, old in zip(variables, like.parameters, strict=True)
    )


def learning_mask(variables: Variables, recipe: Recipe, task: Task) -> Sequence[Any]:
    """Return 1 for what learns and 0 for what stands still, in the form of the variables."""
    still = {len(variables) - 1} if task.classes else set()
    return tuple(
        LayerParameters(
            weight=1.0,
            bias=1.0,
            tau_m=float(recipe.learn_tau and index not in still),
            tau_r=float(recipe.learn_tau and index not in still),
            recurrent=None if p.recurrent is None else 1.0,
            backward=None if p.backward is None else 1.0,
        )
        for index, p in enumerate(variables)
    )
