"""Layers that learn, drawn at random; any constants and formats that their specification allows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import random_chips

from vle.compiler.activation import PiecewiseLinear
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.geometry import Engine
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants
from vle.compiler.learning.derivative import DerivativeSpec, OfRate, OfTable, Pieces
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec
from vle.compiler.network import NetworkSpec

FORMAT = Fixed(2, 14)
Generator = np.random.Generator


def derivative(rng: Generator, layer: LayerSpec, *, of_rate: bool) -> DerivativeSpec:
    """Any derivative that the layer's activation can have."""
    point, f_r = 16, layer.rate_format.f_bits
    if of_rate:
        tanh = bool(rng.integers(2))
        return OfRate((1 << 2 * f_r) * tanh, None if tanh else f_r, max(0, 2 * f_r - point))
    if isinstance(layer.activation, PiecewiseLinear):
        return Pieces(*(int(word) for word in rng.integers(-(1 << 17), 1 << 17, 2)))
    return OfTable(int(rng.integers(-6, 7)), int(rng.integers(-(1 << 17), 1 << 17)))


def learner(
    rng: Generator, layer: LayerSpec, *, of_rate: bool = False, **options
) -> tuple[LayerSpec, LearningSpec]:
    """A layer with scales of 1, and its learning."""
    n, width = layer.outputs, layer.constant_width
    logs = rng.integers(0, 6 << time_constants.LOG_BITS, (2, n))
    chosen = {
        "plasticity": "prospective",
        "loop": layer.recurrent,
        "time_constants": False,
        "derivative": derivative(rng, layer, of_rate=of_rate),
        "prime_shift": int(rng.integers(10, 18)),
        "kappa": rng.integers(0, 1 << width, n),
        "beta": rng.integers(0, (1 << width - 1) + 1, n),
        "kappa_shift": width - int(rng.integers(1, 5)),
        "beta_shift": width - 1,
        "error_width": 16,
        "v_width": 24,
        "update_shift": 25,
        "group": np.zeros(n, np.int64),
        "bar_drop": 0,
        "log_high": 7 << time_constants.LOG_BITS,
        "log_m": logs[0],
        "log_r": logs[1],
        "exponent": -13,
        "seed": int(rng.integers(1, 1 << 32)),
        "rate": Rate.of(float(2.0 ** rng.uniform(-12, 2))),
        "tau_rate": Rate.of(float(2.0 ** rng.uniform(-12, 2))),
    } | options
    layer = replace(layer, scale=np.ones(n, np.int64), scale_width=1)
    if chosen["plasticity"] == "filtered":
        most = n if chosen["time_constants"] else chosen.pop("groups", 3)
        chosen["group"] = np.arange(n) % most
    if chosen["time_constants"]:
        words = time_constants.derive(time_constants.Logs(chosen["log_m"], chosen["log_r"]))
        chosen |= {"kappa": words.kappa, "beta": words.beta}
        shifts = {"alpha_shift": time_constants.UNIT_SHIFT, "rho_shift": time_constants.RATIO_SHIFT}
        layer = replace(
            layer,
            alpha=words.alpha,
            rho=words.rho,
            constant_width=time_constants.CONSTANT_WIDTH,
            **shifts,
        )
        chosen["kappa_shift"] = time_constants.RATIO_SHIFT
        chosen["beta_shift"] = time_constants.UNIT_SHIFT
    return layer, LearningSpec(**chosen)


def learners(seed: int, sizes: list[int], options: list[dict], **common) -> list:
    """A chain of layers and their learning; `options` as `random_chips.layer` and `learner` do."""
    rng = np.random.default_rng(seed)
    names = ("recurrent", "activation", "u_width", "weight_width", "rate_width", "constant_width")
    pairs, x_format = [], FORMAT
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        own = common | options[k % len(options)]
        shape = {name: own.pop(name) for name in names if name in own}
        if shape.get("recurrent"):
            shape["rate_width"] = x_format.width
        layer = random_chips.layer(rng, f"l{k}", inputs, outputs, x_format=x_format, **shape)
        pairs.append(learner(rng, layer, **own))
        x_format = layer.rate_format
    return pairs


def chip_of(pairs: list, *, pe: int = 2, simd: int = 3, loss: str = "squared_error") -> ChipSpec:
    """One engine for all layers."""
    network = NetworkSpec(tuple(layer for layer, _ in pairs))
    plan = Folding((EngineSpec(pe, simd, tuple(range(len(pairs)))),))
    return ChipSpec(network, plan, LearningNetwork(network, tuple(s for _, s in pairs), loss))


def engine_of(pairs: list, **options) -> Engine:
    """Geometry of that engine."""
    return chip_of(pairs, **options).engines[0]
