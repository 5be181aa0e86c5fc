"""Compare two gradients, layer by layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.sim.dynamics import LayerParameters

WEIGHTS = ("weight", "bias", "recurrent")
TIME_CONSTANTS = ("tau_m", "tau_r")


class Agreement(NamedTuple):
    """Cosine between two gradients of a layer, and the norm of the first by that of the second."""

    cosine: float
    norm_ratio: float


def agreement(
    estimate: LayerParameters, exact: LayerParameters, names: tuple[str, ...] = WEIGHTS
) -> Agreement:
    """Compare what a layer's gradients have under `names`, strung together.

    Both are NaN where one of the gradients is 0.
    """
    a, b = _vector(estimate, names), _vector(exact, names)
    length_a, length_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not (length_a > 0 and length_b > 0):
        return Agreement(float("nan"), float("nan"))
    return Agreement(float(a / length_a @ (b / length_b)), length_a / length_b)


def to_log_tau(gradient: LayerParameters, p: LayerParameters) -> LayerParameters:
    """Turn ``d/d tau`` into ``d/d log(tau) = tau d/d tau``: time constants learn as logarithms."""
    return gradient._replace(tau_m=gradient.tau_m * p.tau_m, tau_r=gradient.tau_r * p.tau_r)


def _vector(gradient: LayerParameters, names: tuple[str, ...]) -> NDArray[np.float64]:
    parts = [getattr(gradient, name) for name in names]
    return np.concatenate([np.ravel(np.asarray(part)) for part in parts if part is not None])
