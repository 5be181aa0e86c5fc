"""Learning rates: of a user, and as registers hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vle.host.checks import finite
from vle.host.chip import Chip

MANTISSA, EXPONENT = 16, 8  # bits
SIGNAL = 17  # bits of a learning signal beside its sign
Rates = float | Sequence[float] | None
KINDS = ("RATE", "TAU_RATE")


def word_of(what: str, value: float) -> int:
    """Return the nearest word `mantissa | exponent << 16` to a rate `mantissa * 2**-exponent`.

    Raises
    ------
    ValueError
        For a rate that is negative, or that no word can hold.
    """
    if not 0 <= value < np.inf:
        raise ValueError(f"{what} must be 0 or more, and finite, not {value!r}")
    if value == 0:
        return 0
    exponent = MANTISSA - math.frexp(value)[1]
    mantissa = round(math.ldexp(value, exponent))
    if mantissa == 1 << MANTISSA:
        mantissa, exponent = mantissa >> 1, exponent - 1
    if not -128 <= exponent <= 127:
        raise ValueError(f"{what} must be 0, or in 2**-112..2**143, not {value!r}")
    return mantissa | (exponent % (1 << EXPONENT)) << MANTISSA


def value_of(word: int) -> float:
    """Return the rate that a word holds."""
    mantissa, exponent = word % (1 << MANTISSA), word >> MANTISSA & 0xFF
    return math.ldexp(mantissa, -(exponent - ((exponent & 0x80) << 1)))


def words_of(chip: Chip, rate: Rates, tau_rate: Rates) -> dict[str, int]:
    """Return words of registers for rates of a user: one for all layers, or one for each.

    Raises
    ------
    ValueError
        For rates that do not fit, of which no error could be told from another, or of time
        constants where they do not learn.
    """
    learning, found = chip.bundle.learning, {}
    assert learning is not None
    for kind, given, scale in zip(KINDS, (rate, tau_rate), learning.rate_scales, strict=True):
        for layer, value in enumerate(_each(chip, kind.lower(), given)):
            found[f"{kind}[{layer}]"] = word_of(kind.lower(), value * scale)
            _check_range(chip, layer, kind, value * scale)
    return found


def _each(chip: Chip, what: str, given: Rates) -> NDArray[np.float64]:
    if given is None:
        return np.zeros(0)
    values, layers = finite(what, given), len(chip.bundle.layers)
    if values.shape not in ((), (layers,)):
        raise ValueError(f"{what} must be one number, or one for each of {layers} layers")
    return np.broadcast_to(values, (layers,))


def _check_range(chip: Chip, layer: int, kind: str, value: float) -> None:
    """Refuse a rate at which the signal of the smallest error at power-up is clamped."""
    shape = chip.bundle.layers[layer]
    assert shape.learning is not None
    point = shape.learning.signal_point
    if kind == "TAU_RATE":
        if value and not shape.learning.time_constants:
            raise ValueError("tau_rate must be 0 on a chip whose time constants do not learn")
        point = shape.learning.tau_point
    highest = math.ldexp(1.0, SIGNAL - point - shape.learning.exponent)
    if value >= highest:
        raise ValueError(
            f"{kind.lower()} of {shape.name} must be below {highest:g}, where it overflows,"
            f" not {value:g}"
        )


def current(chip: Chip) -> dict[str, int]:
    """Read the registers of all rates."""
    names = [f"{kind}[{layer}]" for kind in KINDS for layer in range(len(chip.bundle.layers))]
    return {name: chip.read(name) for name in names}
