"""Activation functions and their derivatives, in the array API standard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

Array = Any  # an array of any library that follows the array API standard

_DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "identity": (None, None),
    "relu": (None, None),
    "leaky_relu": (0.01, None),
    "tanh": (None, None),
    "sigmoid": (None, None),
    "softplus": (None, None),
    "hard_tanh": (None, None),
    "hard_sigmoid": (0.2, 0.5),
}
NAMES = tuple(_DEFAULTS)


@dataclass(frozen=True)
class Activation:
    """A function ``phi`` by name, with the constants that some of them have.

    Parameters
    ----------
    name
        One of ``identity relu leaky_relu tanh sigmoid softplus hard_tanh hard_sigmoid``.
    alpha
        Slope of ``leaky_relu`` below 0 (default 0.01) or of ``hard_sigmoid`` (default 0.2).
    beta
        Offset of ``hard_sigmoid`` (default 0.5).

    Raises
    ------
    ValueError
        For an unknown name, and for constants that the function lacks or that are not finite.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if self.name not in _DEFAULTS:
            raise ValueError(f"activation must be one of {', '.join(NAMES)}, not {self.name!r}")
        for field, default in zip(("alpha", "beta"), _DEFAULTS[self.name], strict=True):
            given = getattr(self, field)
            if default is None and given is not None:
                raise ValueError(f"{field} of {self.name} must be None, not {given!r}")
            value = default if given is None else float(given)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field} of {self.name} must be finite, not {given!r}")
            object.__setattr__(self, field, value)

    def __call__(self, x: Array) -> Array:
        """Return ``phi(x)``."""
        return self.with_derivative(x)[0]

    def derivative(self, x: Array) -> Array:
        """Return ``phi'(x)``."""
        return self.with_derivative(x)[1]

    def with_derivative(self, x: Array) -> tuple[Array, Array]:
        """Return ``phi(x)`` and ``phi'(x)``; at a kink the derivative is that of the left side.

        ``hard_tanh`` and ``hard_sigmoid`` have derivative 0 at both of their kinks.
        """
        return _FUNCTIONS[self.name](array_namespace(x), x, self.alpha, self.beta)


def _identity(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    return x, xp.ones_like(x)


def _relu(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    zero, one = xp.zeros_like(x), xp.ones_like(x)
    return xp.where(x > 0, x, zero), xp.where(x > 0, one, zero)


def _leaky_relu(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    slope = xp.where(x > 0, xp.ones_like(x), xp.full_like(x, alpha))
    return x * slope, slope


def _tanh(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    r = xp.tanh(x)
    return r, 1.0 - r * r


def _sigmoid(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    r = 0.5 + 0.5 * xp.tanh(0.5 * x)  # never overflows
    return r, r * (1.0 - r)


def _softplus(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    above = xp.where(x > 0, x, xp.zeros_like(x))
    magnitude = xp.where(x > 0, x, -x)
    return above + xp.log1p(xp.exp(-magnitude)), 0.5 + 0.5 * xp.tanh(0.5 * x)


def _hard_tanh(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    one = xp.ones_like(x)
    inside = (x > -1) & (x < 1)
    return xp.where(inside, x, xp.where(x > 0, one, -one)), xp.where(inside, one, 0 * one)


def _hard_sigmoid(xp: Any, x: Array, alpha: Any, beta: Any) -> tuple[Array, Array]:
    y, one = alpha * x + beta, xp.ones_like(x)
    inside = (y > 0) & (y < 1)
    return xp.where(inside, y, xp.where(y > 0, one, 0 * one)), xp.where(
        inside, alpha * one, 0 * one
    )


_FUNCTIONS: dict[str, Callable[[Any, Array, Any, Any], tuple[Array, Array]]] = {
    "identity": _identity,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "hard_tanh": _hard_tanh,
    "hard_sigmoid": _hard_sigmoid,
}
