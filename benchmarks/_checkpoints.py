"""Networks untrained, half trained and trained, for `gradients.py` to judge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vle.sim import Layer, Network, tasks
from vle.sim.dynamics import LayerParameters
from vle.sim.train import recipe as recipes
from vle.sim.train.evaluate import evaluate
from vle.sim.train.exact import Episode, objective
from vle.sim.train.optimizer import schedule
from vle.sim.train.trainer import Trainer
from vle.sim.train.variables import from_network, project, to_network, to_parameters

DECAY = 0.02  # of weights and backward matrices, in units of the rate


@dataclass(frozen=True)
class Checkpoint:
    """A network, the epochs it has learned, and its accuracy or error on the validation split."""

    network: Network
    epochs: int
    figure: float
    mirrored: Network | None = None  # with the backward matrices that were learned beside it


def feedforward(name: str, epochs: tuple[int, int]) -> list[Checkpoint]:
    """Train by filtered input, with Adam and an update per step."""
    task = tasks.load(name)
    recipe = recipes.default(
        name,
        learning="filtered",
        epochs=epochs[1],
        augment=False,
        average=0.0,
        weight_decay=DECAY,
        batch=min(100, len(task.train)),
    )
    trainer = Trainer(task, recipe)
    updates = -(-len(task.train) // recipe.batch) * task.steps
    rate = schedule(recipe, updates * epochs[1])
    begun = np.array([float(rate(updates * epoch)) for epoch in range(epochs[1])])
    left = np.exp(-DECAY * updates * np.concatenate([[0.0], np.cumsum(begun)]))

    def checkpoint(network: Network, done: int, figure: float) -> Checkpoint:
        return Checkpoint(network, done, figure, _mirrored(network, trainer.network, left[done]))

    figure = trainer.validate(trainer.learner.variables, task.validation).figure
    found = [checkpoint(trainer.network, 0, figure)]
    for done in trainer.epochs():
        if done.epoch in epochs:
            network = to_network(trainer.learner.variables, trainer.network)
            found.append(checkpoint(network, done.epoch, done.validation.figure))
    return found


def _mirrored(network: Network, start: Network, left: float) -> Network:
    """Give each layer the backward matrix that was learned beside it.

    It began at random and had the weights' updates, transposed, and their decay; so its difference
    from ``W^T`` is the one at the start times what all the decay since has left.
    """
    rng = np.random.default_rng(1)
    layers = []
    for layer, first in zip(network.layers, start.layers, strict=True):
        other = rng.normal(0, first.weight.std(), first.weight.T.shape) - first.weight.T
        layers.append(replace(layer, backward=layer.weight.T + left * other))
    return replace(network, layers=tuple(layers))


def recurrent(name: str, epochs: tuple[int, int], width: int = 32) -> list[Checkpoint]:
    """Train a network with one recurrent layer by the exact gradient, an update per epoch."""
    task, rng = tasks.load(name), np.random.default_rng(0)
    tau_m = np.geomspace(2, 15, width) * task.dt
    layers = (
        Layer(
            rng.normal(0, 0.5, (width, task.inputs)),
            rng.uniform(-0.5, 0.5, width),
            tau_m,
            np.minimum(tau_m, 2 * task.dt),
            "tanh",
            rng.normal(0, 0.7 / np.sqrt(width), (width, width)),
        ),
        Layer(
            rng.normal(0, 1 / np.sqrt(width), (task.outputs, width)),
            np.zeros(task.outputs),
            2 * task.dt,
            2 * task.dt,
            "identity",
        ),
    )
    network = Network(layers, task.dt)
    y = jnp.asarray(task.targets(task.train), jnp.float32)
    episode = Episode(jnp.asarray(task.x[:, task.train], jnp.float32), y, None)
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, epochs[1]))
    still = LayerParameters(1.0, 1.0, 0.0, 0.0, 1.0)  # time constants

    @jax.jit
    def learn(variables, moments):
        gradient = jax.grad(
            lambda v: objective(to_parameters(v, task.dt), network.settings, episode, 1.0)
        )(variables)
        gradient = tuple(
            LayerParameters(*(None if a is None else a * b for a, b in zip(g, still, strict=True)))
            for g in gradient
        )
        update, moments = optimizer.update(gradient, moments, variables)
        return project(optax.apply_updates(variables, update), task.dt, 100.0), moments

    variables = from_network(network)
    moments = optimizer.init(variables)
    found = [Checkpoint(network, 0, evaluate(network, task, task.validation).figure)]
    for epoch in range(1, epochs[1] + 1):
        variables, moments = learn(variables, moments)
        if epoch in epochs:
            trained = to_network(variables, network)
            figure = evaluate(trained, task, task.validation).figure
            found.append(Checkpoint(trained, epoch, figure))
    return found
