"""Float32 with Adam and batches, by the same local rule: what plain descent is measured by."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from program import cosine

from vle.sim import Network
from vle.sim.train import local
from vle.sim.train.exact import Episode
from vle.sim.train.variables import from_network, to_network

TAU_STEPS_MAX = 100.0


class Adam:
    """A network that learns from batches, one update per step.

    Parameters
    ----------
    start
        The network.
    rate
        At its highest.
    """

    def __init__(self, start: Network, rate: float) -> None:
        self._source = start
        rule = local.rule(
            start.plasticity,
            start.settings,
            start.parameters,
            tau_steps_max=TAU_STEPS_MAX,
            per_step=True,
            learn_tau=False,
        )
        optimizer = optax.inject_hyperparams(optax.adam)(rate)
        self._rate, self._variables = rate, from_network(start)
        self._moments = optimizer.init(self._variables)
        self._learn = jax.jit(lambda v, m, data: local.learn(v, m, data, rule, optimizer))

    def learn(self, x: np.ndarray, y: np.ndarray, progress: float) -> None:
        """Learn from one batch `(T, n, inputs)` with targets `(T, n, outputs)`, NaN for none."""
        self._moments.hyperparams["learning_rate"] = jnp.float32(self._rate * cosine(progress))
        data = Episode(x.astype(np.float32), y.astype(np.float32), None)
        self._variables, self._moments, _ = self._learn(self._variables, self._moments, data)

    @property
    def network(self) -> Network:
        """What it has learned so far."""
        return to_network(self._variables, self._source)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Answer sequences `(T, batch, inputs)`, each from reset, and learn nothing."""
        return self.network.run(x)
