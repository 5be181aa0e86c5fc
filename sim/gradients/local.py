"""Local gradients: what each rule makes of the signals of one step, and their sum over a sequence.

All return an estimate of the gradient of ``beta`` times the summed cost (subtract to descend), in
the form of the parameters. The rules differ in what they multiply:

* ``instantaneous`` - ``inst_e x^T``, and ``e = inst_e`` on the way down: no look ahead at all;
* ``prospective`` - ``e x^T``, generalized latent equilibrium (GLE);
* ``filtered`` - ``inst_e xbar^T``, with ``xbar = (1 + tau_r d/dt)/(1 + tau_m d/dt) x``: exact
  within the layer, for its own ``inst_e``; ``e`` on the way down;
* ``bounded`` - likewise, but on the way down ``e`` looks ahead with a gain of at most `LEAD`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from vle.sim.dynamics import LayerParameters, Settings, Signals, reset, step

Array = Any
RULES = ("instantaneous", "prospective", "filtered", "bounded")
FILTERED = ("filtered", "bounded")  # the input
LEAD = 3.0


class Trace(NamedTuple):
    """What the filtered rule remembers of a layer.

    With ``z = (x, r of the layer's own, 1)``, ``low`` is the Euler step's low pass of ``z`` and
    ``bar`` is ``d prosp_u/d(W, R, b)`` of the step before, which ``inst_e`` judges, both
    ``(..., groups, in [+ out] + 1)``. ``low_tau`` is ``du/d tau_m``, ``bar_m`` and ``bar_r`` are
    ``d prosp_u/d tau_m`` and ``/d tau_r`` of the step before, ``(..., out)``.
    """

    low: Array
    bar: Array
    low_tau: Array
    bar_m: Array
    bar_r: Array


class Groups(NamedTuple):
    """The neurons of a layer by their pair ``(tau_m, tau_r)``: one trace serves each group."""

    rows: tuple[tuple[int, ...], ...]

    @property
    def first(self) -> list[int]:
        """One neuron of each group."""
        return [rows[0] for rows in self.rows]

    @property
    def inverse(self) -> list[int]:
        """Where each neuron stands when the groups are strung together."""
        order = [row for rows in self.rows for row in rows]
        return sorted(range(len(order)), key=order.__getitem__)


def group(p: LayerParameters, *, each: bool = False) -> Groups:
    """Group the neurons of a layer (NumPy arrays); `each` alone where time constants learn."""
    if each:
        return Groups(tuple((row,) for row in range(len(p.tau_m))))
    pairs: dict[tuple[float, float], list[int]] = {}
    for row, pair in enumerate(zip(np.asarray(p.tau_m), np.asarray(p.tau_r), strict=True)):
        pairs.setdefault(pair, []).append(row)
    return Groups(tuple(tuple(rows) for rows in pairs.values()))


def reset_trace(p: LayerParameters, groups: Groups, batch: tuple[int, ...] = ()) -> Trace:
    """Return the trace after a reset: 0."""
    xp = array_namespace(p.bias)
    width = p.weight.shape[1] + (0 if p.recurrent is None else p.bias.shape[0]) + 1
    z = xp.zeros((*batch, len(groups.rows), width), dtype=p.bias.dtype)
    tau = xp.zeros((*batch, p.bias.shape[0]), dtype=p.bias.dtype)
    return Trace(z, z, tau, tau, tau)


def of_rule(rule: str, settings: Settings) -> Settings:
    """Return the settings with the errors that a rule sends down.

    Raises
    ------
    ValueError
        For an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, not {rule!r}")
    lead = LEAD if rule == "bounded" else math.inf
    return replace(settings, prospective_errors=rule != "instantaneous", lead=lead)


def prospective(p: LayerParameters, s: Signals) -> LayerParameters:
    """Gradient of one layer and step, summed over sequences, from this step's ``e`` and ``x``.

    ``-e x^T``, ``-e`` for the bias, ``e du/dt`` for ``tau_m``, ``-inst_e du/dt`` for ``tau_r``.
    With instantaneous errors (`Settings.prospective_errors` off) it is the instantaneous rule.
    """
    xp = array_namespace(s.e)
    e, x, speed = -_flat(xp, s.e), _flat(xp, s.x), _flat(xp, s.d / p.tau_m)
    recurrent = None if p.recurrent is None else e.T @ _flat(xp, s.r)
    weight = e.T @ x
    return LayerParameters(
        weight,
        xp.sum(e, axis=0),
        -xp.sum(e * speed, axis=0),
        -xp.sum(_flat(xp, s.inst_e) * speed, axis=0),
        recurrent,
        None if p.backward is None else weight.T,
    )


def filtered(
    p: LayerParameters, s: Signals, trace: Trace, groups: Groups, dt: float
) -> tuple[LayerParameters, Trace]:
    """Gradient of one layer and step by the filtered input, and the trace of this step.

    ``-inst_e dprosp_u/dtheta``, where ``inst_e`` judges the rate of the step before and the
    sensitivities follow the Euler step exactly, for ``theta = (W, R, b)`` ::

        bar = low + (tau_r/tau_m) (z - low);  low <- low + (dt/tau_m) (z - low)

    and for ``tau_m`` with ``z`` replaced by ``-d/tau_m * (tau_r/tau_m, dt/tau_m)`` in turn.
    """
    xp = array_namespace(s.inst_e)
    inst_e = -_flat(xp, s.inst_e)
    product = _grouped(xp, inst_e, _flat(xp, trace.bar, 2), groups)
    inputs = p.weight.shape[1]
    weight = product[:, :inputs]
    gradient = LayerParameters(
        weight,
        product[:, -1],
        xp.sum(inst_e * _flat(xp, trace.bar_m), axis=0),
        xp.sum(inst_e * _flat(xp, trace.bar_r), axis=0),
        None if p.recurrent is None else product[:, inputs:-1],
        None if p.backward is None else weight.T,
    )
    return gradient, _advance(p, s, trace, groups, dt)


def _advance(p: LayerParameters, s: Signals, trace: Trace, groups: Groups, dt: float) -> Trace:
    xp = array_namespace(s.x)
    low, low_tau = trace.low, trace.low_tau
    if s.restart is not None:
        low = xp.where(s.restart[..., None, None], xp.zeros_like(low), low)
        low_tau = xp.where(s.restart[..., None], xp.zeros_like(low_tau), low_tau)
    rho, alpha = p.tau_r / p.tau_m, dt / p.tau_m
    one = xp.ones_like(s.x[..., :1])
    z = xp.concat([s.x, one] if p.recurrent is None else [s.x, s.r, one], axis=-1)
    first = xp.asarray(groups.first)
    gap = z[..., None, :] - low
    slope = -s.d / p.tau_m  # tau_m d/d tau_m of alpha d, by alpha; the same for rho
    return Trace(
        low + xp.take(alpha, first)[:, None] * gap,
        low + xp.take(rho, first)[:, None] * gap,
        low_tau + alpha * (slope - low_tau),
        low_tau + rho * (slope - low_tau),
        s.d / p.tau_m,
    )


def _grouped(xp: Any, inst_e: Array, bar: Array, groups: Groups) -> Array:
    """``inst_e^T bar`` with each neuron's own group of the trace; ``(out, width)``."""
    if len(groups.rows) == inst_e.shape[1]:
        order = xp.asarray(groups.inverse)
        return xp.sum(inst_e[:, :, None] * xp.take(bar, order, axis=1), axis=0)
    parts = [
        xp.take(inst_e, xp.asarray(rows), axis=1).T @ bar[:, index, :]
        for index, rows in enumerate(groups.rows)
    ]
    return xp.take(xp.concat(parts, axis=0), xp.asarray(groups.inverse), axis=0)


def _flat(xp: Any, a: Array, tail: int = 1) -> Array:
    """Put all leading axes into one."""
    return xp.reshape(a, (-1, *a.shape[a.ndim - tail :]))


def local_gradient(
    parameters: Sequence[LayerParameters],
    settings: Settings,
    x: Array,
    y: Array,
    rule: str = "prospective",
) -> tuple[LayerParameters, ...]:
    """Sum a rule's gradients over sequences from reset, the parameters held still.

    Parameters
    ----------
    parameters, settings
        Of the network.
    x
        ``(T, inputs)`` or ``(T, batch, inputs)``.
    y
        Targets, one per step, as `vle.sim.losses.cost` takes them.
    rule
        One of `RULES`.

    Returns
    -------
    A gradient per layer, in the form of its parameters.

    Raises
    ------
    ValueError
        For an unknown rule.
    """
    settings = of_rule(rule, settings)
    states = reset(parameters, x.shape[1:-1])
    groups = [group(p) for p in parameters]
    traces = [reset_trace(p, g, x.shape[1:-1]) for p, g in zip(parameters, groups, strict=True)]
    total: list[LayerParameters] | None = None
    for t in range(x.shape[0]):
        states, signals = step(parameters, states, x[t, ...], y[t, ...], settings)
        gradients = []
        for index, (p, s) in enumerate(zip(parameters, signals, strict=True)):
            if rule in FILTERED:
                g, traces[index] = filtered(p, s, traces[index], groups[index], settings.dt)
            else:
                g = prospective(p, s)
            gradients.append(g)
        total = (
            gradients
            if total is None
            else [_add(a, b) for a, b in zip(total, gradients, strict=True)]
        )
    assert total is not None
    return tuple(total)


def _add(a: LayerParameters, b: LayerParameters) -> LayerParameters:
    pairs = zip(a, b, strict=True)
    return LayerParameters(*(None if left is None else left + right for left, right in pairs))
