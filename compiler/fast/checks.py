"""What the fast model can compute exactly, and in which words."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.fixed import Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import traces
from vle.compiler.learning.spec import LearningSpec, Points

MOST_SHIFT = 62
WORD = 30  # bits of what a word of 32 bits holds and still may be added to another
HEARD = 21  # bits of what a weight hears, whose products in an update then fit 32 bits
EXACT = 53  # bits of a sum in float64


def is_narrow(layer: LayerSpec, learning: LearningSpec | None) -> bool:
    """Whether words of 32 bits and sums in float64 are exact for a layer.

    An update multiplies what the weight hears by the upper 10 and the lower 8 bits of the signal.
    """
    heard = max(layer.x_format.width, layer.rate_format.width if layer.recurrent else 0)
    weight = layer.weight_width
    if learning is None:
        return max(weight, heard) <= WORD and layer.acc_width <= EXACT
    reach = weight + heard - 2 + int(layer.columns).bit_length()
    return weight <= WORD and heard <= HEARD and reach <= EXACT


def check_points(layer: LayerSpec, learning: LearningSpec) -> None:
    """Refuse binary points beyond what a word can be shifted by."""
    guard = learning.v_width - learning.error_width
    for what, shift in (
        ("bias point", abs(Points.of(layer, learning).bias)),
        ("kappa_shift and guard", learning.kappa_shift + guard),
        ("beta_shift", learning.beta_shift),
        ("prime_shift", learning.prime_shift),
        ("rho_shift and bar_drop", layer.rho_shift + traces.GUARD + learning.bar_drop),
    ):
        if not 0 <= shift <= MOST_SHIFT:
            raise ValueError(f"{layer.name}: {what} must be in 0..{MOST_SHIFT}, not {shift}")


def check_words(what: str, words: Raw, width: int) -> None:
    """Refuse words that a format does not hold."""
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    outside = words.size and (int(words.min()) < low or int(words.max()) > high)
    if words.dtype.kind not in "iu" or outside:
        raise ValueError(f"{what} must be integers in {low}..{high}")


def frames(what: str, words: ArrayLike, *shape: int) -> Raw:
    """Check the shape of frames, `(T, *shape)`, and that they are integers."""
    raw = np.asarray(words)
    if raw.ndim != 1 + len(shape) or raw.shape[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{what} must be of shape (T, {wanted}), not {raw.shape}")
    if raw.dtype.kind not in "iu":
        raise ValueError(f"{what} must be integers, not {raw.dtype}")
    return np.ascontiguousarray(raw, np.int64)


def flags(what: str, given: ArrayLike, steps: int) -> NDArray[np.int64]:
    """Check flags of all steps, `(steps,)`, or one for all."""
    raw = np.asarray(given, dtype=np.bool_)
    if raw.shape not in ((), (steps,)):
        raise ValueError(f"{what} must be of shape ({steps},), not {raw.shape}")
    return np.broadcast_to(raw, (steps,)).astype(np.int64)
