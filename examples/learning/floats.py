"""Float64, as one that learns from streams by the same rule."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from course import Course

from vle.sim import Network, dynamics
from vle.sim.gradients import local

Rates = float | list[float]


class FloatStudent:
    """The same rule, rates and stream in float64, by `vle.sim` on JAX."""

    def __init__(self, start: Network, *, time_constants: bool = False, tau_max: float = np.inf):
        self._source, settings = start, start.settings
        groups = [local.group(p, each=time_constants) for p in start.parameters]
        rule = partial(_gradients, groups, (start.plasticity, settings.dt))

        def step(rates: Any, carry: Any, now: Any) -> Any:
            (rate, tau_rate), (parameters, states, traces) = rates, carry
            x, y, flag, learns = now
            states, signals = dynamics.step(parameters, states, x, y, settings, start=flag)
            gradients, traces = rule(parameters, signals, traces)
            layers = zip(parameters, gradients, rate * learns, tau_rate * learns, strict=True)
            limits = (settings.dt, tau_max)
            parameters = tuple(_descend(*layer, limits) for layer in layers)
            return (parameters, states, traces), states[-1].r

        with jax.enable_x64(True):
            parameters = jax.tree.map(jnp.asarray, start.parameters)
            states = dynamics.reset(parameters, held=True)
            pairs = zip(parameters, groups, strict=True)
            traces = tuple(local.reset_trace(*pair) for pair in pairs)
            self._carry = (parameters, states, traces)
            self._scan = jax.jit(lambda r, c, data: jax.lax.scan(partial(step, r), c, data))

    def learn(self, course: Course, rate: Rates, tau_rate: Rates = 0.0) -> np.ndarray:
        """As `IntegerStudent.learn`; parts of one length run without being compiled again."""
        layers, outputs = len(self._source.layers), self._source.outputs
        rates = tuple(np.broadcast_to(r, layers).astype(float) for r in (rate, tau_rate))
        y = course.y
        if y.ndim == 1:
            y = np.where((y >= 0)[:, None], np.eye(outputs)[y], np.nan)
        with jax.enable_x64(True):
            data = (course.x.astype(float), y, course.start, 1.0 - course.freeze)
            self._carry, answers = self._scan(rates, self._carry, data)
        return np.asarray(answers)

    @property
    def network(self) -> Network:
        """What it has learned so far."""
        return self._source.with_parameters(jax.tree.map(np.asarray, self._carry[0]))

    def run(self, x: np.ndarray) -> np.ndarray:
        """Answer sequences `(T, batch, inputs)`, each from reset, and learn nothing."""
        return self.network.run(x)


def _gradients(groups: list, rule: Any, parameters: Any, signals: Any, traces: Any) -> Any:
    """Gradients of one step and the traces after it, layer by layer."""
    plasticity, dt = rule
    if plasticity == "prospective":
        return [local.prospective(*pair) for pair in zip(parameters, signals, strict=True)], traces
    rows = zip(parameters, signals, traces, groups, strict=True)
    return tuple(zip(*(local.filtered(*row, dt) for row in rows), strict=True))


def _descend(p: Any, g: Any, rate: Any, tau_rate: Any, limits: tuple[float, float]) -> Any:
    def slower(tau: Any, gradient: Any) -> Any:
        return jnp.clip(tau * jnp.exp(-tau_rate * tau * gradient), *limits)

    return p._replace(
        weight=p.weight - rate * g.weight,
        bias=p.bias - rate * g.bias,
        recurrent=None if p.recurrent is None else p.recurrent - rate * g.recurrent,
        tau_m=slower(p.tau_m, g.tau_m),
        tau_r=slower(p.tau_r, g.tau_r),
    )
