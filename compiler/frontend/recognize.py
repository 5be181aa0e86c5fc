"""Which activation a function is, from its values: `A phi(s x + t) + B`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vle.compiler.frontend.steps import Elementwise, Nonlinear, Step
from vle.sim import Activation

Floats = NDArray[np.float64]

FAR = 150.0  # where bent functions are flat or straight: exp(2 * FAR) is still a number
_INNER = np.linspace(-20.0, 20.0, 4001)
POINTS: Floats = np.concatenate([[-FAR, -FAR + 1], _INNER, [FAR - 1, FAR]])
POINTS.setflags(write=False)
STEP = _INNER[1] - _INNER[0]
TOLERANCE = 1e-6  # of the largest value: constants come in single precision
FLAT = 1e-9


def recognize(node: str, y: Floats) -> tuple[Step, ...]:
    """Find the steps that compute `y` at `POINTS`; empty where there are none.

    Parameters
    ----------
    node
        Label of the node that the steps are to name.
    y
        Values at `POINTS`.
    """
    scale = max(1e-3, float(np.abs(y[2:-2]).max()))
    for steps in _candidates(node, y, scale):
        off = np.abs(run_steps(steps, POINTS) - y)
        if off.max() <= TOLERANCE * scale * (FAR / 20):
            return steps
    return ()


def run_steps(steps: tuple[Step, ...], x: Floats) -> Floats:
    """Values of steps that treat all elements alike."""
    for step in steps:
        if isinstance(step, Elementwise):
            x = step.scale * x + step.shift
        elif isinstance(step, Nonlinear):
            x = step.activation(x)
    return x


def look_alike(y: Floats) -> str:
    """Name of a well-known function that has no circuit; empty where it is none."""
    for name, function in _FAMOUS.items():
        if np.abs(function(_INNER) - y[2:-2]).max() < 1e-3:
            return name
    return ""


def _candidates(node: str, y: Floats, scale: float) -> Iterator[tuple[Step, ...]]:
    inner = y[2:-2]
    slopes = np.diff(inner) / STEP
    bends = np.flatnonzero(np.abs(np.diff(slopes)) > 1e-4 * max(1.0, float(np.abs(slopes).max())))
    kinks = _kinks(bends)
    if len(kinks) <= 2:
        yield from _straight(node, inner, slopes, kinks)
    left, right = (y[1] - y[0]), (y[-1] - y[-2])
    flat = FLAT * scale + 1e-12
    if abs(left) < flat and abs(right) < flat:
        yield from _sigmoids(node, y)
    elif abs(left) < flat or abs(right) < flat:
        yield from _softplus(node, y)


def _kinks(bends: NDArray[np.intp]) -> list[int]:
    """Places where the slope changes, a kink between two points counted once."""
    return [int(b) for i, b in enumerate(bends) if not i or b - bends[i - 1] > 1]


def _affine(node: str, scale: float, shift: float) -> tuple[Step, ...]:
    if (scale, shift) == (1.0, 0.0):
        return ()
    return (Elementwise(node, np.array(scale), np.array(shift)),)


def _around(
    node: str, inner: tuple[float, float], phi: Activation, outer: tuple[float, float]
) -> tuple[Step, ...]:
    """`outer[0] * phi(inner[0] * x + inner[1]) + outer[1]`."""
    return (*_affine(node, *inner), Nonlinear(node, phi), *_affine(node, *outer))


def _neat(value: float) -> float:
    """Take off what double precision left: 0.9999999999998 is 1."""
    if not math.isfinite(value):
        return value
    for near in (round(value * 720) / 720, round(value, 6)):
        if abs(near - value) < 1e-9 * max(1.0, abs(value)):
            return near
    return value


def _straight(node: str, y: Floats, slopes: Floats, kinks: list[int]) -> Iterator[tuple[Step, ...]]:
    """Functions of one, two or three straight pieces."""
    pieces = [
        _line(y, slopes, a, b) for a, b in zip([0, *kinks], [*kinks, len(slopes)], strict=True)
    ]
    if not kinks:
        yield _affine(node, *pieces[0]) or (Elementwise(node, np.array(1.0), np.array(0.0)),)
        return
    crossings = []
    for (m1, c1), (m2, c2) in pairwise(pieces):
        if m1 == m2:
            return
        crossings.append(_neat((c1 - c2) / (m2 - m1)))
    if not np.isfinite(crossings).all():
        return
    if len(kinks) == 1:
        yield _one_kink(node, pieces, crossings[0])
    elif pieces[0][0] == 0 == pieces[2][0] != pieces[1][0]:
        yield _two_kinks(node, pieces)


def _line(y: Floats, slopes: Floats, start: int, end: int) -> tuple[float, float]:
    """Slope and offset of the piece between two kinks, taken in its middle."""
    middle = (start + end) // 2
    slope = _neat(float(slopes[middle]))
    return slope, _neat(float(y[middle] - slope * _INNER[middle]))


def _one_kink(node: str, pieces: list[tuple[float, float]], at: float) -> tuple[Step, ...]:
    (left, _), (right, offset) = pieces
    value = _neat(right * at + offset)
    if right == 0:
        return _around(node, (-1.0, at), Activation("relu"), (-left, value))
    phi = Activation("leaky_relu", alpha=left / right) if left else Activation("relu")
    return _around(node, (1.0, -at), phi, (right, value))


def _two_kinks(node: str, pieces: list[tuple[float, float]]) -> tuple[Step, ...]:
    low, high = pieces[0][1], pieces[2][1]
    slope, offset = pieces[1]
    if (min(low, high), max(low, high)) == (0.0, 1.0):
        return (Nonlinear(node, Activation("hard_sigmoid", alpha=slope, beta=offset)),)
    centre, half = (low + high) / 2, abs(high - low) / 2
    inner = (slope / half, (offset - centre) / half)
    return _around(node, inner, Activation("hard_tanh"), (half, centre))


def _sigmoids(node: str, y: Floats) -> Iterator[tuple[Step, ...]]:
    """Functions with two flat ends, from one to the other along a tanh."""
    low, high = _neat(float(y[0])), _neat(float(y[-1]))
    if low == high:
        return
    share = (y[2:-2] - low) / (high - low)
    inside = np.flatnonzero((share > 0.02) & (share < 0.98))
    if len(inside) < 3:
        return
    ends = inside[[0, -1]]
    logit = np.log(share[ends] / (1 - share[ends]))
    slope = _neat(float((logit[1] - logit[0]) / (_INNER[ends[1]] - _INNER[ends[0]])))
    shift = _neat(float(logit[0] - slope * _INNER[ends[0]]))
    if low == -high:
        yield _around(node, (slope / 2, shift / 2), Activation("tanh"), (high, 0.0))
    if high == 0:  # falls to 0: without an offset behind it
        yield _around(node, (-slope, -shift), Activation("sigmoid"), (low, 0.0))
    yield _around(node, (slope, shift), Activation("sigmoid"), (_neat(high - low), low))


def _softplus(node: str, y: Floats) -> Iterator[tuple[Step, ...]]:
    """Functions that are flat on one side and straight on the other."""
    rises = abs(y[1] - y[0]) < abs(y[-1] - y[-2])
    flat, near, far = (y[0], -2, -1) if rises else (y[-1], 1, 0)
    slope = (y[far] - y[near]) / (POINTS[far] - POINTS[near])
    offset = y[far] - slope * POINTS[far] - flat  # y - flat goes to slope * x + offset
    middle = -offset / slope
    if abs(middle) > 19:
        return
    amplitude = float(_between(y, middle) - flat) / math.log(2)
    if not amplitude:
        return
    amplitude, flat = _neat(amplitude), _neat(float(flat))
    inner = (_neat(float(slope / amplitude)), _neat(float(offset / amplitude)))
    yield _around(node, inner, Activation("softplus"), (amplitude, flat))


def _between(y: Floats, at: float) -> float:
    """Value between the points, from a polynomial through the nearest."""
    first = 2 + round((at + 20) / STEP) - 3
    near = slice(first, first + 7)
    unit = (POINTS[near] - at) / STEP
    return float(np.polynomial.Polynomial.fit(unit, y[near], 6)(0.0))


def _gelu(x: Floats) -> Floats:
    return np.asarray(x * 0.5 * (1 + np.array([math.erf(a / math.sqrt(2)) for a in x])))


_FAMOUS: dict[str, Callable[[Floats], Floats]] = {
    "x * sigmoid(x), called SiLU or Swish,": lambda x: x / (1 + np.exp(-x)),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Gelu": _gelu,
    "Mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
