"""Local learning: the rules of `vle.sim.gradients.local`, followed while the network runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from vle.sim import losses
from vle.sim.dynamics import LayerParameters, Settings, reset, step
from vle.sim.gradients import local
from vle.sim.train.exact import Episode
from vle.sim.train.variables import Variables, project, to_parameters

Array = Any


class Rule(NamedTuple):
    """How a network learns locally: its settings, its rule, the neurons that share a trace."""

    name: str
    settings: Settings
    groups: tuple[local.Groups, ...]
    tau_steps_max: float
    per_step: bool
    learn_tau: bool


def rule(
    name: str,
    settings: Settings,
    parameters: Any,
    *,
    tau_steps_max: float,
    per_step: bool,
    learn_tau: bool,
) -> Rule:
    """Return the rule; neurons of equal time constants share a trace unless the constants learn."""
    groups = tuple(local.group(p, each=learn_tau) for p in parameters)
    return Rule(name, local.of_rule(name, settings), groups, tau_steps_max, per_step, learn_tau)


def learn(
    variables: Variables,
    moments: Any,
    episode: Episode,
    rule: Rule,
    optimizer: optax.GradientTransformationExtraArgs,
) -> tuple[Variables, Any, Array]:
    """Run a batch from reset and learn from it, once per time step or once at its end.

    The target of output frame t is heard in step t + 1, when the error of that frame is computed.

    Returns
    -------
    The new variables and optimizer state, and the mean cost per step.
    """
    batch, dt = episode.x.shape[1:-1], rule.settings.dt
    parameters = to_parameters(variables, dt)
    states = reset(parameters, batch, held=None if episode.start is None else True)
    traces = tuple(
        local.reset_trace(p, g, batch) if rule.name in local.FILTERED else None
        for p, g in zip(parameters, rule.groups, strict=True)
    )
    total = None if rule.per_step else jax.tree.map(jnp.zeros_like, variables)
    none = jnp.full_like(episode.target[:1], jnp.nan)
    targets = jnp.concatenate([none, episode.target[:-1]])

    def update(gradient: Variables, variables: Variables, moments: Any) -> tuple[Any, Any]:
        change, moments = optimizer.update(gradient, moments, variables)
        changed = optax.apply_updates(variables, change)
        return project(changed, dt, rule.tau_steps_max), moments

    def frame(carry: Any, now: Any) -> tuple[Any, Array]:
        variables, moments, total, states, traces = carry
        x, target, start = now
        cost = jnp.sum(losses.cost(rule.settings.loss, states[-1].r, target))
        flag = None if start is None else jnp.broadcast_to(start, batch)
        parameters = to_parameters(variables, dt)
        states, signals = step(parameters, states, x, target, rule.settings, start=flag)
        gradient, traces = _gradient(parameters, signals, traces, rule, batch[0])
        if rule.per_step:
            variables, moments = update(gradient, variables, moments)
        else:
            total = jax.tree.map(jnp.add, total, gradient)
        return (variables, moments, total, states, traces), cost

    carry = (variables, moments, total, states, traces)
    carry, costs = jax.lax.scan(frame, carry, (episode.x, targets, episode.start))
    variables, moments, total, *_ = carry
    if total is not None:
        variables, moments = update(total, variables, moments)
    return variables, moments, jnp.sum(costs) / jnp.sum(~jnp.any(jnp.isnan(targets), axis=-1))


def _gradient(
    parameters: Any, signals: Any, traces: Any, rule: Rule, batch: int
) -> tuple[Variables, Any]:
    """Return a step's gradient per variable, averaged over the batch, and the traces."""
    gradients, advanced = [], []
    for p, s, trace, groups in zip(parameters, signals, traces, rule.groups, strict=True):
        if rule.name in local.FILTERED:
            g, after = local.filtered(p, s, trace, groups, rule.settings.dt)
        else:
            g, after = local.prospective(p, s), trace
        gradients.append(_per_variable(g, p, batch, rule.learn_tau))
        advanced.append(after)
    return tuple(gradients), tuple(advanced)


def _per_variable(
    g: LayerParameters, p: LayerParameters, batch: int, learn_tau: bool
) -> LayerParameters:
    """Return `dC/d log tau = tau dC/d tau` in the place of `dC/d tau`, all divided by the batch."""
    zero = jnp.zeros_like(p.tau_m)  # saves the sums over the batch where they are not wanted
    g = g._replace(
        tau_m=g.tau_m * p.tau_m if learn_tau else zero,
        tau_r=g.tau_r * p.tau_r if learn_tau else zero,
    )
    averaged: LayerParameters = jax.tree.map(lambda a: a / batch, g)
    return averaged
