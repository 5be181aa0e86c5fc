"""From an activation function to its circuit, with a bound on what the circuit gets wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.compiler.activation import ActivationSpec, PiecewiseLinear, Table
from vle.compiler.fixed import Fixed
from vle.compiler.notes import Note
from vle.sim import Activation

Float = NDArray[np.float64]
SLOPE_BITS = 16  # of a slope's magnitude; two slopes of a function share their binary point
SHIFT_MOST = 48  # bits dropped of a product; only slopes near 0 would have more
FINE = 0.25  # entries nearer than that are moved off the curve
ENTRIES = (256, 512, 1024)

# Largest magnitudes of the second and third derivative.
_CURVATURE = {"tanh": (0.7699, 2.0), "sigmoid": (0.0963, 0.125), "softplus": (0.25, 0.0963)}


@dataclass(frozen=True)
class Approximation:
    """A circuit and how far its rates can be from the function's, while none saturates.

    Parameters
    ----------
    circuit
        What the chip computes.
    error
        Bound on `|circuit(p) - phi(p)|` over every representable `p`, in the rate's real units.
    notes
        What was approximated, in words.
    """

    circuit: ActivationSpec
    error: float
    notes: tuple[Note, ...] = ()


def is_tabulated(phi: Activation) -> bool:
    """Whether the function needs a table."""
    return phi.name in _CURVATURE


def reach(phi: Activation, low: float, high: float) -> tuple[float, float]:
    """Smallest and largest rate over prospective potentials in `low..high`."""
    points = np.array([low, *(p for p in _kinks(phi) if low < p < high), high])
    rates = phi(points)
    return float(rates.min()), float(rates.max())


def approximate(phi: Activation, u_format: Fixed, rate_format: Fixed) -> Approximation:
    """Choose the circuit of `phi` from potentials of `u_format` to rates of `rate_format`."""
    if is_tabulated(phi):
        return _table(phi, u_format, rate_format)
    return _pieces(phi, u_format, rate_format)


def _slopes(phi: Activation) -> tuple[float, float, float, float, float]:
    """Return negative slope, positive slope, offset, low, high of a piecewise linear function."""
    inf = math.inf
    if phi.name == "hard_sigmoid":
        assert phi.alpha is not None
        assert phi.beta is not None
        return phi.alpha, phi.alpha, phi.beta, 0.0, 1.0
    return {
        "identity": (1.0, 1.0, 0.0, -inf, inf),
        "relu": (0.0, 1.0, 0.0, 0.0, inf),
        "leaky_relu": (phi.alpha or 0.0, 1.0, 0.0, -inf, inf),
        "hard_tanh": (1.0, 1.0, 0.0, -1.0, 1.0),
    }[phi.name]


def _kinks(phi: Activation) -> list[float]:
    if is_tabulated(phi):
        return []
    _, slope, offset, low, high = _slopes(phi)
    ends = [(end - offset) / slope for end in (low, high) if math.isfinite(end) and slope]
    return [0.0, *ends]


def _pieces(phi: Activation, u: Fixed, r: Fixed) -> Approximation:
    negative, positive, offset, low, high = _slopes(phi)
    largest = max(abs(negative), abs(positive), 2.0**-30)
    binary = SLOPE_BITS - math.frexp(largest)[1] + 1  # largest * 2**binary in 2**16 .. 2**17
    if round(largest * 2.0**binary) >= 1 << (SLOPE_BITS + 1):
        binary -= 1
    shift = min(binary + u.f_bits - r.f_bits, SHIFT_MOST)
    binary = shift - u.f_bits + r.f_bits
    if shift < 0:  # rates finer than potentials: nothing to drop
        binary, shift = binary - shift, 0
    raw = [math.floor(slope * 2.0**binary + 0.5) for slope in (negative, positive)]
    ends = [_clip_end(end, r) for end in (low, high)]
    circuit = PiecewiseLinear(
        negative_slope=raw[0],
        positive_slope=raw[1],
        shift=shift,
        offset=math.floor(math.ldexp(offset, r.f_bits) + 0.5),
        low=ends[0],
        high=ends[1],
        counts_low=math.isinf(low),
        counts_high=math.isinf(high),
    )
    error = r.step / 2 if shift else 0.0
    notes: list[Note] = []
    slopes = zip((negative, positive), raw, strict=True)
    slope_error = max(abs(slope - got * 2.0**-binary) for slope, got in slopes)
    if slope_error:
        error += slope_error * abs(float(u.real(u.low)))
        notes.append(Note(f"slope of {phi.name} is off by {slope_error:.2g}"))
    error += abs(offset - float(r.real(circuit.offset)))
    reached = reach(phi, float(u.real(u.low)), float(u.real(u.high)))
    clipped = [
        _cut(end, float(r.real(got)), extreme, sign)
        for end, got, extreme, sign in zip((low, high), ends, reached, (-1, 1), strict=True)
        if math.isfinite(end)
    ]
    if any(clipped):
        error += max(clipped)
        notes.append(Note(f"bound of {phi.name} is off by {float(max(clipped)):.2g}"))
    return Approximation(circuit, float(error), tuple(notes))


def _cut(end: float, got: float, extreme: float, sign: int) -> float:
    """How far a bound is off where potentials reach it, or what it cuts off where they do not."""
    return abs(end - got) if sign * (extreme - end) >= 0 else max(0.0, sign * (extreme - got))


def _clip_end(end: float, r: Fixed) -> int:
    if math.isinf(end):
        return r.high if end > 0 else r.low
    return int(r.quantize(end))


def _table(phi: Activation, u: Fixed, r: Fixed) -> Approximation:
    """Nodes moved by a half of the chord's largest error, which halves the error of the chords."""
    second, third = _CURVATURE[phi.name]
    tail_shift = u.f_bits - r.f_bits if phi.name == "softplus" else None
    if tail_shift is not None and tail_shift < 0:
        raise ValueError(f"rates of softplus must not be finer than potentials, not {r} and {u}")
    domain = min(math.ceil(math.log2(_flat_from(phi, r))), u.i_bits - 1)  # +- 2**domain
    domain = max(domain, 1 - u.f_bits)  # two chords of two potentials each, where those are coarse
    for entries in ENTRIES:
        spacing = 2.0 ** (domain + 1) / entries
        if second * spacing**2 / 16 <= r.step / 2:
            break
    shift = domain + 1 - (entries.bit_length() - 1) + u.f_bits
    while shift < 1:  # potentials coarser than the table
        entries, shift = entries // 2, shift + 1
    spacing = 2.0 ** (domain + 1) / entries
    nodes: Float = -(2.0**domain) + spacing * np.arange(entries + 1, dtype=np.float64)
    exact, interpolation = phi(nodes), min(second * spacing**2 / 8, spacing)
    if spacing <= FINE:
        exact = exact - spacing**2 / 16 * _second(phi, nodes)
        interpolation = second * spacing**2 / 16 + third * spacing**3 / 8
    value = r.quantize(exact)
    circuit = Table(
        shift=shift,
        value=tuple(value[:-1].tolist()),
        delta=tuple(np.diff(value).tolist()),
        rate_width=r.width,
        tail_shift=tail_shift,
    )
    clipped = float(np.abs(np.clip(exact, r.real(r.low), r.real(r.high)) - exact).max())
    beyond = _beyond(phi, 2.0**domain) if domain < u.i_bits - 1 else 0.0
    roundings = 1.0 if tail_shift is None else 1.5
    # Clamping p to the last raw value of the domain loses one raw potential of slope.
    error = interpolation + clipped + beyond + roundings * r.step + u.step
    text = f"{phi.name} is {entries} chords, off by at most this many rate steps"
    notes = [Note(text, f"{interpolation / r.step:.2f}")]
    if clipped:
        notes.append(Note(f"ends of {phi.name} are clipped by up to one rate step"))
    return Approximation(circuit, error, tuple(notes))


def _flat_from(phi: Activation, r: Fixed) -> float:
    """Potential beyond which the function is within half a rate step of its asymptote."""
    half = min(r.step / 2, 0.25)
    if phi.name == "tanh":
        return math.log((2 - half) / half) / 2  # atanh(1 - half)
    if phi.name == "sigmoid":
        return math.log((1 - half) / half)
    return -math.log(math.expm1(half))


def _beyond(phi: Activation, end: float) -> float:
    """How far the function is from its asymptotes at +-`end`."""
    if phi.name == "tanh":
        return 1 - math.tanh(end)
    return math.exp(-end)


def _second(phi: Activation, x: Float) -> Float:
    r: Float
    prime: Float
    r, prime = phi.with_derivative(x)
    if phi.name == "tanh":
        return -2 * r * prime
    if phi.name == "sigmoid":
        return prime * (1 - 2 * r)
    return prime * (1 - prime)  # softplus' is the sigmoid
