"""Layers and their learning as the words of `Layer`."""

from __future__ import annotations

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear
from vle.compiler.fast.words import Words
from vle.compiler.layer import LayerSpec
from vle.compiler.learning.derivative import DerivativeSpec, OfRate, Pieces
from vle.compiler.learning.spec import LearningSpec, Points


def activation_words(circuit: ActivationSpec) -> Words:
    """Words of an activation circuit."""
    if isinstance(circuit, PiecewiseLinear):
        names = ("negative_slope", "positive_slope", "offset", "low", "high")
        words = {name: int(getattr(circuit, name)) for name in names}
        ends = {"counts_low": int(circuit.counts_low), "counts_high": int(circuit.counts_high)}
        return words | ends | {"act_shift": circuit.shift}
    return {
        "is_table": 1,
        "act_shift": circuit.shift,
        "high": circuit.high,
        "entries": len(circuit.value),
        "tail_shift": -1 if circuit.tail_shift is None else circuit.tail_shift,
        "value": np.array(circuit.value, np.int64),
        "delta": np.array(circuit.delta, np.int64),
    }


def layer_words(layer: LayerSpec) -> Words:
    """Words of a layer that does not learn, but for its state."""
    names = ("inputs", "outputs", "columns", "scale_shift", "alpha_shift", "rho_shift")
    arrays = ("weight", "scale", "bias", "alpha", "rho")
    return {
        **{name: getattr(layer, name) for name in (*names, "weight_width", *arrays)},
        **activation_words(layer.activation),
        "u_width": layer.u_format.width,
        "rate_width": layer.rate_format.width,
        "saturated": np.zeros(3, np.int64),
    }


def derivative_words(circuit: DerivativeSpec) -> Words:
    """Words of the derivative of an activation."""
    if isinstance(circuit, Pieces):
        words = (("prime_negative", circuit.negative), ("prime_positive", circuit.positive))
        return {"derivative": 0, **dict(words)}
    if isinstance(circuit, OfRate):
        linear = -1 if circuit.linear_shift is None else circuit.linear_shift
        words = (("prime_one", circuit.one), ("prime_linear", linear))
        return {"derivative": 1, "prime_move": circuit.shift, **dict(words)}
    return {"derivative": 2, "prime_move": circuit.shift, "prime_tail": circuit.tail}


def learning_words(layer: LayerSpec, learning: LearningSpec) -> Words:
    """Words of a layer's learning, but for its state."""
    names = ("prime_shift", "kappa_shift", "beta_shift", "error_width", "v_width", "update_shift")
    points = Points.of(layer, learning)
    groups = {"group": learning.group, "first": learning.first} if learning.filtered else {}
    return {
        **{name: getattr(learning, name) for name in (*names, "kappa", "beta", "bar_drop")},
        **derivative_words(learning.derivative),
        **groups,
        "learns": 1,
        "loops": int(layer.recurrent and learning.loop),
        "groups": learning.groups,
        "learns_tau": int(learning.time_constants),
        "senses": int(learning.filtered and learning.time_constants),
        "log_high": learning.log_high,
        "heard_width": learning.heard_width(layer),
        "sums_point": points.sums,
        "drop": points.drop,
        "signal_point": points.signal,
        "bias_point": points.bias,
        "tau_point": points.tau,
        "tau_shift": points.tau_shift,
        "clamped": np.zeros(5, np.int64),
    }
