"""How far the integer model can be from the float network: a bound derived layer by layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec
from vle.compiler.quantization.approximate import Approximation
from vle.compiler.quantization.ranges import LayerRanges
from vle.sim import Layer, Network

Float = NDArray[np.float64]


def rate_errors(
    reference: Network,
    network: NetworkSpec,
    approximations: tuple[Approximation, ...],
    ranges: tuple[LayerRanges, ...],
) -> tuple[Float | None, ...]:
    """Bound `|rate of the integer model - rate of the float network|` per neuron of each layer.

    It holds in every step of every signal whose float values keep within `ranges`, as long as
    nothing saturates. With `E_x` the error of the inputs, `W'` the weights on the chip, `s_u` and
    `s_x` the steps of the formats, and bars over the largest magnitudes in `ranges`::

        E_current = |W' - W| x̄ + |W'| E_x + s_u/2 + |b' - b|
        E_u       = E_current + (s_u/2 + |alpha' - alpha| d̄) / alpha'
        E_prosp   = |1 - rho'| E_u + rho' E_current + |rho' - rho| d̄ + s_u/2
        E_r       = min(|phi'|max E_prosp, phi_max - phi_min) + error of the circuit

    (`u` is a convex mixture of currents, so errors of currents do not add up in it; a rounding of
    `alpha d` is forgotten at the rate `alpha`.) Where `alpha d` is exact, and where `rho = 1` so
    that `prosp = current`, those terms vanish.

    Returns
    -------
    Per layer `(outputs,)` in real units; None from the first recurrent layer on, whose errors can
    feed themselves.
    """
    result: list[Float | None] = []
    error: Float | None = np.full(reference.inputs, network.layers[0].x_format.step / 2)
    layers = zip(reference.layers, network.layers, approximations, ranges, strict=True)
    for layer, spec, approximation, seen in layers:
        if layer.recurrent is not None or error is None:
            error = None
        else:
            error = _layer_error(layer, spec, seen, error, reference.dt)
            error = np.minimum(slope_of(layer) * error, span_of(layer)) + approximation.error
        result.append(error)
    return tuple(result)


def _layer_error(
    layer: Layer, spec: LayerSpec, seen: LayerRanges, x_error: Float, dt: float
) -> Float:
    """Error of the prospective potential, `(outputs,)`."""
    half = spec.u_format.step / 2
    weight = real_weight(spec)
    x = np.maximum(np.abs(seen.x.low), np.abs(seen.x.high))
    current = np.abs(weight - layer.weight) @ x + np.abs(weight) @ x_error
    current += half + np.abs(spec.u_format.real(spec.bias) - layer.bias)
    alpha = np.ldexp(spec.alpha.astype(float), -spec.alpha_shift)
    rho = np.ldexp(spec.rho.astype(float), -spec.rho_shift)
    ends = [np.abs(seen.current.low), np.abs(seen.current.high), *map(np.abs, seen.u)]
    d = 2 * np.max(ends, axis=0)
    u = current + (half * (alpha != 1) + np.abs(alpha - dt / layer.tau_m) * d) / alpha
    off = np.abs(rho - layer.tau_r / layer.tau_m) * d + half * (rho != 1)
    return np.asarray(np.abs(1 - rho) * u + rho * current + off)


def real_weight(spec: LayerSpec) -> Float:
    """Weights on the chip in real units, `(outputs, columns)`."""
    f_bits = np.full(spec.columns, spec.x_format.f_bits)
    f_bits[spec.inputs :] = spec.rate_format.f_bits
    scaled = np.ldexp((spec.weight * spec.scale[:, None]).astype(float), -spec.scale_shift)
    return np.asarray(np.ldexp(scaled, f_bits - spec.u_format.f_bits))


def span_of(layer: Layer) -> float:
    """Return how far apart any two rates can be at most."""
    spans = {"tanh": 2.0, "hard_tanh": 2.0, "sigmoid": 1.0, "hard_sigmoid": 1.0}
    return spans.get(layer.activation.name, np.inf)


def slope_of(layer: Layer) -> float:
    """Return the largest slope of a layer's activation function."""
    phi = layer.activation
    if phi.name == "leaky_relu":
        return max(1.0, abs(phi.alpha or 0.0))
    if phi.name == "hard_sigmoid":
        return abs(phi.alpha or 0.0)
    return 0.25 if phi.name == "sigmoid" else 1.0
