"""What the top layer is judged by: a cost per step, and the error it sends down."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

Array = Any
NAMES = ("squared_error", "cross_entropy")


def cost(name: str, r: Array, target: Array) -> Array:
    """Cost of each sequence in one step, 0 where the target is absent.

    ``squared_error``: ``1/2 |target - r|^2``; ``cross_entropy``: ``-sum(p log softmax(r))``.

    Parameters
    ----------
    name
        ``squared_error`` or ``cross_entropy``.
    r
        Rates of the top layer, ``(..., outputs)``.
    target
        Values or probabilities ``(..., outputs)``, absent where one is NaN; for cross-entropy also
        classes ``(...)`` as integers, absent where negative.

    Returns
    -------
    Array of shape ``(...)``.
    """
    xp = array_namespace(r)
    present, target = _dense(xp, name, r, target)
    if name == "squared_error":
        c = 0.5 * xp.sum((target - r) ** 2, axis=-1)
    else:
        c = -xp.sum(target * _log_softmax(xp, r), axis=-1)
    return xp.where(present, c, xp.zeros_like(c))


def descent(name: str, r: Array, target: Array) -> Array:
    """``-dC/dr`` of each sequence in one step, 0 where the target is absent.

    ``squared_error``: ``target - r``; ``cross_entropy``: ``p - sum(p) softmax(r)``, which is
    ``onehot - softmax(r)`` for a class. Parameters as for `cost`; returns ``(..., outputs)``.
    """
    xp = array_namespace(r)
    present, target = _dense(xp, name, r, target)
    if name == "squared_error":
        d = target - r
    else:
        total = xp.sum(target, axis=-1, keepdims=True)
        d = target - total * xp.exp(_log_softmax(xp, r))
    return xp.where(present[..., None], d, xp.zeros_like(d))


def _dense(xp: Any, name: str, r: Array, target: Array) -> tuple[Array, Array]:
    """Whether each target is present, and it as ``(..., outputs)`` without NaN."""
    if name == "cross_entropy" and target.ndim == r.ndim - 1:
        classes = xp.arange(r.shape[-1], dtype=target.dtype)
        return target >= 0, xp.astype(target[..., None] == classes, r.dtype)
    present = ~xp.any(xp.isnan(target), axis=-1)
    return present, xp.where(present[..., None], target, xp.zeros_like(target))


def _log_softmax(xp: Any, r: Array) -> Array:
    shifted = r - xp.max(r, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
