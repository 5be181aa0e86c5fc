"""The exact gradient in NumPy, by the adjoint equations written backward in time by hand.

With ``delta_r``, ``delta_p``, ``delta_u`` the derivatives of the summed cost by ``r[t]``,
``prosp_u[t]`` and the ``u`` that step ``t`` leaves, one step backward is ::

    delta_p = phi'(prosp_u) delta_r          delta_d = rho delta_p + alpha delta_u
    delta_u <- delta_u + delta_p - delta_d   delta_r below <- W^T delta_d,  own <- R^T delta_d

with ``rho = tau_r/tau_m`` and ``alpha = dt/tau_m``. In continuous time that is
``(1 - tau_m d/dt) e = (1 - tau_r d/dt) inst_e``, what the local errors approximate causally.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.sim import losses
from vle.sim.dynamics import LayerParameters, Settings

Floats = NDArray[np.float64]


class History(NamedTuple):
    """Rates, their derivatives and ``d = tau_m du/dt`` of one layer, ``(T, ..., out)``."""

    r: Floats
    r_prime: Floats
    d: Floats


def adjoint_gradient(
    parameters: Sequence[LayerParameters], settings: Settings, x: Floats, y: NDArray[Any]
) -> tuple[LayerParameters, ...]:
    """Return the gradient of ``beta`` times the cost, summed over steps and sequences from reset.

    The cost of step ``t`` compares ``y[t]`` with the rate of step ``t - 1``, as the network does.
    Errors do not drive the potentials (``gamma = 0``).

    Parameters
    ----------
    parameters, settings
        Of the network.
    x
        ``(T, inputs)`` or ``(T, batch, inputs)``.
    y
        Targets, one per step, as `vle.sim.losses.cost` takes them.

    Returns
    -------
    A gradient per layer, in the form of its parameters.
    """
    histories = _forward(parameters, settings, x)
    total = [_Sum(p) for p in parameters]
    delta_u = [np.zeros_like(h.r[0]) for h in histories]
    delta_r = [np.zeros_like(h.r[0]) for h in histories]  # by the rates of step t
    for t in reversed(range(len(x))):
        before = [np.zeros_like(h.r[0]) for h in histories]  # by the rates of step t - 1
        if t > 0:
            top = histories[-1].r[t - 1]
            before[-1] -= settings.beta * losses.descent(settings.loss, top, y[t])
        for index, (p, h) in enumerate(zip(parameters, histories, strict=True)):
            delta_p = h.r_prime[t] * delta_r[index]
            delta_d = (p.tau_r * delta_p + settings.dt * delta_u[index]) / p.tau_m
            below = x[t] if index == 0 else _previous(histories[index - 1].r, t)
            total[index].add(delta_d, below, _previous(h.r, t))
            total[index].add_ratios(delta_p * h.d[t], delta_u[index] * h.d[t])
            delta_u[index] += delta_p - delta_d
            if index > 0:
                before[index - 1] += delta_d @ p.weight
            if p.recurrent is not None:
                before[index] += delta_d @ p.recurrent
        delta_r = before
    return tuple(s.gradient(p, settings.dt) for s, p in zip(total, parameters, strict=True))


def _forward(parameters: Sequence[LayerParameters], settings: Settings, x: Floats) -> list[History]:
    """Run the layers one after the other: below only ever speaks upward, a step later."""
    histories: list[History] = []
    signal = x
    for p, phi in zip(parameters, settings.activations, strict=True):
        shape = (len(x), *x.shape[1:-1], len(p.bias))
        r, r_prime, d = np.empty(shape), np.empty(shape), np.empty(shape)
        u, own = np.zeros(shape[1:]), np.zeros(shape[1:])
        current = signal @ p.weight.T + p.bias
        for t in range(len(x)):
            recurrent = 0.0 if p.recurrent is None else own @ p.recurrent.T
            d[t] = current[t] + recurrent - u
            r[t], r_prime[t] = phi.with_derivative(u + p.tau_r / p.tau_m * d[t])
            u, own = u + settings.dt / p.tau_m * d[t], r[t]
        histories.append(History(r, r_prime, d))
        signal = np.concatenate([np.zeros_like(r[:1]), r[:-1]])
    return histories


def _previous(r: Floats, t: int) -> Floats:
    return r[t - 1] if t > 0 else np.zeros_like(r[0])


class _Sum:
    """The gradient of one layer, as far as it is summed."""

    def __init__(self, p: LayerParameters) -> None:
        self.weight, self.bias = np.zeros_like(p.weight), np.zeros_like(p.bias)
        self.recurrent = None if p.recurrent is None else np.zeros_like(p.recurrent)
        self.rho, self.alpha = np.zeros_like(p.bias), np.zeros_like(p.bias)

    def add(self, delta_d: Floats, below: Floats, own: Floats) -> None:
        flat = delta_d.reshape(-1, delta_d.shape[-1])
        self.weight += flat.T @ below.reshape(-1, below.shape[-1])
        self.bias += flat.sum(axis=0)
        if self.recurrent is not None:
            self.recurrent += flat.T @ own.reshape(-1, own.shape[-1])

    def add_ratios(self, rho: Floats, alpha: Floats) -> None:
        self.rho += rho.reshape(-1, rho.shape[-1]).sum(axis=0)
        self.alpha += alpha.reshape(-1, alpha.shape[-1]).sum(axis=0)

    def gradient(self, p: LayerParameters, dt: float) -> LayerParameters:
        tau_m = -(p.tau_r * self.rho + dt * self.alpha) / p.tau_m**2
        return LayerParameters(self.weight, self.bias, tau_m, self.rho / p.tau_m, self.recurrent)
