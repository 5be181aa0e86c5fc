"""The dynamics of Latent Equilibrium networks: one forward-Euler step, as pure functions.

With input ``x`` (the rates below, and the layer's own where it is recurrent), each layer obeys ::

    tau_m du/dt = -u + W x + b + gamma e    prosp_u = u + tau_r du/dt    r = phi(prosp_u)
    tau_r dv/dt = -v + inst_e               e = v + tau_m dv/dt
    inst_e = phi'(prosp_u) * (B_above e_above + R^T e)

and at the top ``B_above e_above`` is ``-beta dC/dr``. All layers step at once, from the values of
the step before. Arrays are of any library of the Python array API standard; leading axes are
sequences, which run side by side. Parameters, states and signals are NamedTuples, so that
``jax.jit``, ``jax.grad`` and ``jax.lax.scan`` take them as they are.

References
----------
Haider et al. 2021, "Latent Equilibrium", arXiv 2110.14549; Ellenberger et al. 2024,
"Backpropagation through space, time and the brain" (GLE), arXiv 2403.16933; Brandt et al. 2026,
arXiv 2603.09600.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from vle.sim import losses
from vle.sim.activations import Activation

Array = Any


class LayerParameters(NamedTuple):
    """What a layer of ``out`` neurons with ``in`` inputs learns; gradients have the same form."""

    weight: Array  # W (out, in)
    bias: Array  # b (out,)
    tau_m: Array  # seconds, (out,)
    tau_r: Array  # seconds, (out,)
    recurrent: Array = None  # R (out, out), where it is recurrent
    backward: Array = None  # B (in, out); None: the transpose of W


class LayerState(NamedTuple):
    """What a layer carries from step to step; ``(..., out)`` unless said.

    ``v``, ``down`` and ``loop`` are None where no errors are computed, ``flag`` and ``held`` where
    no start flags are in use.
    """

    u: Array
    r: Array
    r_prime: Array
    v: Array = None
    down: Array = None  # B e for the layer below, (..., in); None at the bottom
    loop: Array = None  # R^T e for the layer itself
    flag: Array = None  # (...): a sequence started here in this step
    held: Array = None  # (...): still waiting for the first sequence


class Signals(NamedTuple):
    """What one step of one layer offers to plasticity."""

    x: Array  # input, (..., in)
    r: Array  # own rates of the step before, (..., out)
    d: Array  # tau_m du/dt, (..., out)
    inst_e: Array
    e: Array
    restart: Array  # (...): the layer left, or is at, its initial state


@dataclass(frozen=True)
class Settings:
    """What all steps of a network share and nothing learns; hashable, for ``jax.jit``."""

    activations: tuple[Activation, ...]
    dt: float
    loss: str = "squared_error"
    gamma: float = 0.0
    beta: float = 1.0
    error_recurrence: bool = True  # False leaves out R^T e
    prospective_errors: bool = True  # False: e = inst_e, the instantaneous rule
    lead: float = math.inf  # errors look ahead by at most this gain, as if tau_r >= tau_m / lead


def reset(
    parameters: Sequence[LayerParameters],
    batch: tuple[int, ...] = (),
    *,
    errors: bool = True,
    held: bool | None = None,
) -> tuple[LayerState, ...]:
    """Return the state after a reset: everything is 0, rates and derivatives too.

    Parameters
    ----------
    parameters
        Of each layer, from the bottom.
    batch
        Leading axes.
    errors
        Whether errors will be computed.
    held
        None: no start flags are in use. True: every layer waits in its initial state for a flag.
    """
    states = []
    for index, p in enumerate(parameters):
        xp = array_namespace(p.bias)
        zero = xp.zeros((*batch, p.bias.shape[0]), dtype=p.bias.dtype)
        down = xp.zeros((*batch, p.weight.shape[1]), dtype=p.bias.dtype)
        state = LayerState(u=zero, r=zero, r_prime=zero)
        if errors:
            loop = None if p.recurrent is None else zero
            state = state._replace(v=zero, down=down if index else None, loop=loop)
        if held is not None:
            off = xp.zeros(batch, dtype=xp.bool)
            state = state._replace(flag=off, held=~off if held else off)
        states.append(state)
    return tuple(states)


def step(
    parameters: Sequence[LayerParameters],
    states: Sequence[LayerState],
    x: Array,
    target: Array,
    settings: Settings,
    *,
    start: Array = None,
) -> tuple[tuple[LayerState, ...], tuple[Signals, ...]]:
    """Step all layers at once, from the values of the step before.

    Parameters
    ----------
    parameters, states
        Of each layer, from the bottom.
    x
        Input frame, ``(..., inputs)``.
    target
        Of the top layer, as `vle.sim.losses.cost` takes it; it is compared with the rate of the
        step before. None: absent for all.
    settings
        Of the network.
    start
        ``(...)``: whether the frame starts a sequence; needed where the states have flags.

    Returns
    -------
    The states, whose last ``r`` is the output frame, and the signals of each layer.
    """
    below = (x, *(s.r for s in states[:-1]))
    above = (*(s.down for s in states[1:]), _top_error(states[-1], target, settings))
    flags = (start, *(s.flag for s in states[:-1]))
    layers = zip(parameters, states, below, above, flags, settings.activations, strict=True)
    stepped = [
        step_layer(p, s, x, error, settings, phi=phi, flag=flag)
        for p, s, x, error, flag, phi in layers
    ]
    return tuple(s for s, _ in stepped), tuple(signals for _, signals in stepped)


def step_layer(
    p: LayerParameters,
    s: LayerState,
    x: Array,
    above: Array,
    settings: Settings,
    *,
    phi: Activation,
    flag: Array = None,
) -> tuple[LayerState, Signals]:
    """Step one layer: errors, products with the weights, neurons.

    ``f = inst_e - v;  e = v + (tau_m/tau_r) f;  v <- v + (dt/tau_r) f``, then
    ``d = W x + b + gamma e - u;  prosp_u = u + (tau_r/tau_m) d;  u <- u + (dt/tau_m) d``.
    """
    if s.held is not None:
        s = _blank(s, flag)._replace(held=s.held & ~flag)
    # Errors, of the step before.
    inst_e = e = v = None
    if s.v is not None:
        recurrent_error = settings.error_recurrence and s.loop is not None
        inst_e = s.r_prime * (above + s.loop if recurrent_error else above)
        f = inst_e - s.v
        tau_e = _error_tau(p, settings)
        v = s.v + (settings.dt / tau_e) * f
        e = s.v + (p.tau_m / tau_e) * f if settings.prospective_errors else inst_e
    # The weights, forward and backward.
    current = x @ p.weight.T + p.bias
    if p.recurrent is not None:
        current = current + s.r @ p.recurrent.T
    down = loop = None
    if s.down is not None:
        down = e @ (p.weight if p.backward is None else p.backward.T)
    if s.loop is not None:
        loop = e @ p.recurrent
    # Neurons.
    d = current - s.u
    if e is not None and settings.gamma:
        d = d + settings.gamma * e
    u = s.u + (settings.dt / p.tau_m) * d
    r, r_prime = phi.with_derivative(s.u + (p.tau_r / p.tau_m) * d)
    stepped = LayerState(u, r, r_prime, v, down, loop, flag, s.held)
    restart = None
    if s.held is not None:
        stepped = _blank(stepped, s.held)
        restart = flag | s.held
    return stepped, Signals(x, s.r, d, inst_e, e, restart)


def _error_tau(p: LayerParameters, settings: Settings) -> Array:
    """Return ``tau_r`` of the error filter."""
    if math.isinf(settings.lead):
        return p.tau_r
    return array_namespace(p.tau_r).maximum(p.tau_r, p.tau_m / settings.lead)


def _top_error(top: LayerState, target: Array, settings: Settings) -> Array:
    if top.v is None:
        return None
    if target is None:
        return array_namespace(top.r).zeros_like(top.r)
    return settings.beta * losses.descent(settings.loss, top.r, target)


def _blank(s: LayerState, where: Array) -> LayerState:
    """Put a layer into its initial state in the sequences where it says so."""
    xp = array_namespace(s.u)

    def blank(a: Array) -> Array:
        return None if a is None else xp.where(where[..., None], xp.zeros_like(a), a)

    u, r, r_prime, v, down, loop = (blank(a) for a in s[:6])
    return LayerState(u, r, r_prime, v, down, loop, s.flag, s.held)
