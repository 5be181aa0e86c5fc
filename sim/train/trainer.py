"""The trainer: epochs of batches, a running average of the weights, the best epoch kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vle.sim.network import Network
from vle.sim.tasks import Task
from vle.sim.train import augment, checkpoint, exact, local
from vle.sim.train.evaluate import Score, score
from vle.sim.train.exact import Episode
from vle.sim.train.optimizer import optimizer
from vle.sim.train.recipe import Recipe
from vle.sim.train.variables import (
    Variables,
    from_network,
    initial_network,
    learning_mask,
    project,
    to_network,
    to_parameters,
)

Array = Any


class Learner(NamedTuple):
    """What training changes; with the recipe and the epoch, all that it goes on from."""

    variables: Variables
    moments: Any  # of the optimizer
    average: Variables
    best: Variables  # the average of the best epoch so far
    updates: Array  # batches seen


class Epoch(NamedTuple):
    """What an epoch came to: mean cost of training, cost and accuracy (or error) of validation."""

    epoch: int
    cost: float
    validation: Score


class Trainer:
    """Trains one network by one recipe; everything random follows from the recipe's seed.

    Parameters
    ----------
    task : Task
        What to learn.
    recipe : Recipe
        How.

    Attributes
    ----------
    learner : Learner
        Where training stands.
    history : list of Epoch
        What was done.
    """

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self.task, self.recipe = task, recipe
        self.network = initial_network(task, recipe)
        variables = from_network(self.network)
        mask = learning_mask(variables, recipe, task)
        self._batches = -(-len(task.train) // recipe.batch)
        updates = self._batches * recipe.epochs
        if recipe.update == "step":
            updates *= self.episode(task.train[:1]).x.shape[0]
        self._optimizer = optimizer(recipe, updates, variables, mask)
        moments = self._optimizer.init(variables)
        self.learner = Learner(variables, moments, variables, variables, jnp.zeros((), jnp.int32))
        self.history: list[Epoch] = []
        self._augment = augment.for_task(task) if recipe.augment else None
        self.learn = jax.jit(self._learn_exactly if recipe.learning == "exact" else self._locally())
        self._output = jax.jit(partial(exact.run, settings=self.network.settings))

    @property
    def best(self) -> Epoch:
        """The epoch that is kept: of the best validation, the last of equals."""
        if not self.history:
            raise ValueError("history must hold an epoch, not be empty")
        return max(self.history, key=lambda done: (*done.validation.rank, done.epoch))

    @property
    def trained(self) -> Network:
        """The network of the best epoch."""
        return to_network(self.learner.best, self.network)

    def epochs(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Epoch]:
        """Train the epochs that are left, one per item; `progress` hears (batch, batches)."""
        for number in range(len(self.history) + 1, self.recipe.epochs + 1):
            done = self._epoch(number, progress)
            self.history.append(done)
            if self.best.epoch == number:
                self.learner = self.learner._replace(best=self.learner.average)
            yield done

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        history = [[e.epoch, e.cost, *e.validation] for e in self.history]
        checkpoint.save(path, self.learner, {"recipe": self.recipe.to_json(), "history": history})

    @staticmethod
    def resume(path: Path, load: Callable[[str], Task]) -> Trainer:
        """Return the trainer that wrote a checkpoint, where it stood.

        Raises
        ------
        ValueError
            If the file is no whole checkpoint.
        """
        record = checkpoint.record(path)
        recipe = Recipe.from_json(record["recipe"])
        trainer = Trainer(load(recipe.task), recipe)
        trainer.learner = checkpoint.arrays(path, trainer.learner)
        trainer.history = [Epoch(row[0], row[1], Score(*row[2:])) for row in record["history"]]
        return trainer

    def validate(self, variables: Variables, index: Array) -> Score:
        """Return the score of variables on sequences of the task, in float32."""
        parts = [index[i : i + 200] for i in range(0, len(index), 200)]
        parameters = to_parameters(variables, self.task.dt)
        outputs = []
        for part in parts:
            episode = self.episode(part)
            output = self._output(parameters, episode=episode)
            outputs.append(np.asarray(output)[output.shape[0] - self.task.steps :])
        return score(self.task, index, np.concatenate(outputs, axis=1), self.recipe.gain)

    def _epoch(self, number: int, progress: Callable[[int, int], None] | None) -> Epoch:
        rng = np.random.default_rng([self.recipe.seed, number])
        key = jax.random.fold_in(jax.random.key(self.recipe.seed), number)
        order = rng.permutation(self.task.train)
        order = np.resize(order, self._batches * self.recipe.batch)  # the last batch is filled up
        costs = []
        for i, index in enumerate(np.split(order, self._batches)):
            if progress is not None:
                progress(i, self._batches)
            episode = self.episode(index, with_input=self._augment is None)
            self.learner, cost = self.learn(
                self.learner, episode, jnp.asarray(index), jax.random.fold_in(key, i)
            )
            costs.append(cost)
        if not np.all(np.isfinite(costs)):
            raise FloatingPointError(
                f"cost must stay finite, but did not in epoch {number}: lower --rate"
            )
        validation = self.validate(self.learner.average, self.task.validation)
        return Epoch(number, float(np.mean(costs)), validation)

    def episode(self, index: Array, *, with_input: bool = True) -> Episode:
        """Return sequences ready to run: flushed and shifted where the network is aligned."""
        extra = self.network.latency_steps if self.network.aligned else 0
        around = ((0, extra), (0, 0), (0, 0)), ((extra, 0), (0, 0), (0, 0))
        x = self.task.x[:, index] if with_input else np.zeros((self.task.steps, len(index), 1))
        target = np.pad(self.task.targets(index), around[1], constant_values=np.nan)
        start = np.arange(len(target)) == 0 if self.network.aligned else None
        return Episode(np.pad(x, around[0]).astype(np.float32), target.astype(np.float32), start)

    def _input(self, episode: Episode, index: Array, key: Array) -> Episode:
        return episode if self._augment is None else episode._replace(x=self._augment(key, index))

    def _learn_exactly(
        self, learner: Learner, episode: Episode, index: Array, key: Array
    ) -> tuple[Learner, Array]:
        recipe, dt, settings = self.recipe, self.task.dt, self.network.settings
        drawn, noise = jax.random.split(key)
        episode = self._input(episode, index, drawn)

        def cost(variables: Variables) -> Array:
            noisy = with_rounding_noise(variables, noise, recipe.noise_bits)
            return exact.objective(to_parameters(noisy, dt), settings, episode, recipe.gain)

        value, gradient = jax.value_and_grad(cost)(learner.variables)
        update, moments = self._optimizer.update(gradient, learner.moments, learner.variables)
        variables = optax.apply_updates(learner.variables, update)
        variables = project(variables, dt, recipe.tau_steps_max)
        return self._averaged(learner, variables, moments), value

    def _locally(self) -> Callable[..., tuple[Learner, Array]]:
        rule = local.rule(
            self.recipe.learning,
            self.network.settings,
            self.network.parameters,
            tau_steps_max=self.recipe.tau_steps_max,
            per_step=self.recipe.update == "step",
            learn_tau=self.recipe.learn_tau,
        )

        def learn(
            learner: Learner, episode: Episode, index: Array, key: Array
        ) -> tuple[Learner, Array]:
            episode = self._input(episode, index, key)
            variables, moments, cost = local.learn(
                learner.variables, learner.moments, episode, rule, self._optimizer
            )
            return self._averaged(learner, variables, moments), cost

        return learn

    def _averaged(self, learner: Learner, variables: Variables, moments: Any) -> Learner:
        """Average the variables: plainly at first, then with the recipe's decay."""
        seen = learner.updates.astype(jnp.float32)
        decay = jnp.minimum(self.recipe.average, (1 + seen) / (10 + seen))
        average = jax.tree.map(lambda a, v: decay * a + (1 - decay) * v, learner.average, variables)
        return Learner(variables, moments, average, learner.best, learner.updates + 1)


def with_rounding_noise(variables: Variables, key: Array, bits: int) -> Variables:
    """Add noise of the size of rounding each neuron's weights to `bits` bits; 0 adds none."""
    if not bits:
        return variables
    noisy = []
    for p, k in zip(variables, jax.random.split(key, len(variables)), strict=True):
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(p.weight), axis=1, keepdims=True))
        draw = jax.random.uniform(k, p.weight.shape, jnp.float32, -0.5, 0.5)
        noisy.append(p._replace(weight=p.weight + draw * largest / (2 ** (bits - 1) - 1)))
    return tuple(noisy)
