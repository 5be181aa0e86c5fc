"""Chips drawn at random: structures, formats, parameters and foldings from one seeded generator."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear, Table
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.targets import target_spec
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants
from vle.compiler.learning.derivative import DerivativeSpec, OfRate, OfTable, Pieces
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import MOST_GROUPS, LearningSpec
from vle.compiler.learning.time_constants import Logs
from vle.compiler.network import NetworkSpec

Generator = np.random.Generator
Width = int | tuple[int, ...]


def piecewise(rng: Generator, u_width: int, rate_width: int) -> PiecewiseLinear:
    """Relu-like, leaky, hard and straight ones alike."""
    shift = max(0, u_width - rate_width + 14)
    high = (1 << (rate_width - 1)) - 1
    ends = [(-high - 1, high), (0, high), tuple(sorted(rng.integers(-high - 1, high + 1, 2)))]
    low, top = ends[rng.integers(3)]
    slopes = rng.integers(-(1 << 17), 1 << 17, 2)
    slopes[rng.integers(2)] = 1 << 14
    return PiecewiseLinear(
        *(int(slope) for slope in slopes),
        shift=shift,
        offset=int(rng.integers(-high // 2, high // 2 + 1)) if rng.integers(2) else 0,
        low=int(low),
        high=int(top),
        counts_low=bool(low == -high - 1),
        counts_high=bool(top == high),
    )


def entries(rng: Generator, index_width: int, rate_width: int) -> dict[str, tuple[int, ...]]:
    """Values and steps of a table, anywhere in the format."""
    half = 1 << (rate_width - 1)
    nodes = rng.integers(-half, half, (1 << index_width) + 1)
    return {"value": tuple(nodes[:-1].tolist()), "delta": tuple(np.diff(nodes).tolist())}


def table(rng: Generator, u_width: int, rate_width: int, index_width: int) -> Table:
    """Any entries that fit, not only those of a function anybody uses."""
    nodes = entries(rng, index_width, rate_width)
    return Table(
        shift=max(1, u_width - index_width - int(rng.integers(3))),
        **nodes,
        rate_width=rate_width,
        tail_shift=int(rng.integers(u_width - 1)) if rng.integers(2) else None,
    )


def layer(
    rng: Generator,
    name: str,
    inputs: int,
    outputs: int,
    *,
    x_format: Fixed,
    recurrent: bool = False,
    rate_width: int = 16,
    u_width: int = 24,
    weight_width: int = 8,
    scale_width: int = 16,
    constant_width: int = 18,
    activation: ActivationSpec | None = None,
) -> LayerSpec:
    """A layer whose currents fill the format of the potential, and sometimes pass its ends."""
    columns = inputs + (outputs if recurrent else 0)
    half = 1 << (weight_width - 1)
    weight = rng.integers(-half, half, (outputs, columns))
    acc = np.sqrt(columns) * half * 2.0 ** (x_format.width - 1) / 3
    drive = 2.0 ** (u_width - 1) * rng.uniform(0.1, 1.0)
    scale_shift = int(np.clip(np.log2(acc * 2.0 ** (scale_width - 1) / drive), 0, 62))
    if activation is None:
        kinds = [piecewise(rng, u_width, rate_width), table(rng, u_width, rate_width, 5)]
        activation = kinds[rng.integers(2)]
    alpha = rng.integers(0, (1 << (constant_width - 1)) + 1, outputs)
    alpha[rng.integers(outputs)] = 1 << (constant_width - 1)  # exactly 1
    return LayerSpec(
        name=name,
        weight=weight,
        scale=rng.integers(0, 1 << scale_width, outputs),
        bias=rng.integers(-(1 << (u_width - 3)), 1 << (u_width - 3), outputs),
        alpha=alpha,
        rho=rng.integers(0, 1 << constant_width, outputs),
        scale_shift=scale_shift,
        alpha_shift=constant_width - 1,
        rho_shift=constant_width - 3,
        activation=activation,
        recurrent=recurrent,
        weight_width=weight_width,
        scale_width=scale_width,
        constant_width=constant_width,
        x_format=x_format,
        u_format=Fixed(8, u_width - 8),
        rate_format=Fixed(2, rate_width - 2),
    )


def network(
    rng: Generator, sizes: list[int], *, recurrent: tuple[int, ...] = (), **widths: Width
) -> NetworkSpec:
    """Layers of the given sizes, the first of which is the number of inputs; a width may be one for
    all layers, or a tuple with each layer's.
    """
    layers: list[LayerSpec] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        own = {name: w[index] if isinstance(w, tuple) else w for name, w in widths.items()}
        x_format = layers[-1].rate_format if layers else Fixed(2, own.get("rate_width", 16) - 2)
        layers.append(
            layer(
                rng,
                f"layer{index}",
                inputs,
                outputs,
                x_format=x_format,
                recurrent=index in recurrent,
                **own,
            )
        )
    return NetworkSpec(tuple(layers))


def other_parameters(rng: Generator, spec: NetworkSpec) -> NetworkSpec:
    """Other words of the same formats in every place, tables among them."""
    layers, tables = [], {}
    for old in spec.layers:
        half = 1 << (old.weight_width - 1)
        weight = rng.integers(-half, half, old.weight.shape)
        weight[rng.random(weight.shape) < 0.1] = -half
        rest = {k: rng.permutation(getattr(old, k)) for k in ("scale", "bias", "alpha", "rho")}
        phi = old.activation
        if isinstance(phi, Table):  # equal ones stay equal: an engine may hold them once
            tables.setdefault(phi, entries(rng, phi.index_width, phi.rate_width))
            phi = replace(phi, **tables[phi])
        layers.append(replace(old, weight=weight, activation=phi, **rest))
    return NetworkSpec(tuple(layers))


def folding(rng: Generator, layers: int, *, most: int = 6) -> Folding:
    """Layers dealt out to engines in any order, each with up to `most` rows and columns."""
    owner = rng.integers(0, rng.integers(1, layers + 1), layers)
    groups = [np.flatnonzero(owner == engine) for engine in np.unique(owner)]
    return Folding(
        tuple(
            EngineSpec(
                pe=int(rng.integers(1, most + 1)),
                simd=int(rng.integers(1, most + 1)),
                layers=tuple(map(int, rng.permutation(group))),
            )
            for group in groups
        )
    )


def chip(rng: Generator, sizes: list[int], *, most: int = 6, **options) -> ChipSpec:
    """A random network of the given sizes on random engines."""
    return ChipSpec(network(rng, sizes, **options), folding(rng, len(sizes) - 1, most=most))


def frames(rng: Generator, spec: NetworkSpec, steps: int) -> np.ndarray:
    """Raw input frames, shape `(steps, inputs)`; the ends of the format are among them."""
    x_format = spec.layers[0].x_format
    raw = rng.integers(x_format.low, x_format.high + 1, (steps, spec.layers[0].inputs))
    return np.where(rng.random(raw.shape) < 0.05, x_format.low, raw)


def of_powers(rng: Generator, spec: NetworkSpec) -> NetworkSpec:
    """The same network with powers of two for scales, as learning needs it."""
    layers = []
    for old in spec.layers:
        typical = float(np.log2(np.median(old.scale)))
        shift = max(0, old.scale_shift - round(typical))
        layers.append(replace(old, scale=np.ones_like(old.scale), scale_shift=shift))
    return NetworkSpec(tuple(layers))


def derivative(rng: Generator, spec: LayerSpec) -> DerivativeSpec:
    """Any derivative that the circuit of an activation can have."""
    f_r = spec.rate_format.f_bits
    if isinstance(spec.activation, PiecewiseLinear):
        return Pieces(*(int(word) for word in rng.integers(-(1 << 15), 1 << 17, 2)))
    kind = rng.integers(3)
    if kind == 0:
        tail = int(rng.integers(1 << 17)) if rng.integers(2) else 0
        return OfTable(int(rng.integers(-2, 3)), tail)
    point = min(16, 2 * f_r)
    if kind == 1:
        return OfRate(1 << 2 * f_r, None, 2 * f_r - point)
    return OfRate(0, f_r, 2 * f_r - point)


def own_pace(rng: Generator, spec: LayerSpec) -> tuple[LayerSpec, Logs]:
    """The same layer with time constants that follow from logarithms, and those."""
    logs = Logs(*rng.integers(0, 6 << time_constants.LOG_BITS, (2, spec.outputs)))
    words = time_constants.derive(logs)
    changed = replace(
        spec,
        alpha=words.alpha,
        rho=words.rho,
        constant_width=time_constants.CONSTANT_WIDTH,
        alpha_shift=time_constants.UNIT_SHIFT,
        rho_shift=time_constants.RATIO_SHIFT,
    )
    return changed, logs


def groups(rng: Generator, neurons: int, *, alone: bool) -> np.ndarray:
    """Which trace each neuron hears."""
    if alone:
        return np.arange(neurons)
    drawn = rng.integers(0, min(neurons, MOST_GROUPS), neurons)
    return np.unique(drawn, return_inverse=True)[1]


def layer_learning(
    rng: Generator,
    spec: LayerSpec,
    *,
    plasticity: str = "prospective",
    loop: bool = True,
    paces: bool = False,
) -> tuple[LayerSpec, LearningSpec]:
    """A layer and learning that moves its weights, and sometimes drives them to their ends."""
    n, width, filtered = spec.outputs, int(rng.integers(12, 18)), plasticity == "filtered"
    logs = Logs(np.zeros(n, np.int64), np.zeros(n, np.int64))
    kappa = rng.integers(0, 1 << spec.constant_width, n)
    beta = rng.integers(0, (1 << spec.constant_width - 1) + 1, n)
    shifts = (spec.constant_width - 2, spec.constant_width - 1)
    if paces:
        spec, logs = own_pace(rng, spec)
        words = time_constants.derive(logs)
        kappa, beta = words.kappa, words.beta
        shifts = (time_constants.RATIO_SHIFT, time_constants.UNIT_SHIFT)
    update_shift, exponent = int(rng.integers(8, 31)), int(rng.integers(-20, 0))
    f_w = spec.scale_shift + spec.u_format.f_bits - spec.x_format.f_bits
    point = f_w - spec.x_format.f_bits + update_shift + exponent
    reach = 16 + width - 1 + point - int(rng.integers(12, 19))  # so many bits above a signal's
    tau_reach = 16 + width - 1 + time_constants.LOG_BITS + exponent - int(rng.integers(8, 16))
    return spec, LearningSpec(
        plasticity=plasticity,
        loop=loop and spec.recurrent,
        time_constants=paces,
        derivative=derivative(rng, spec),
        prime_shift=int(rng.integers(15, 19)),
        kappa=kappa,
        beta=beta,
        kappa_shift=shifts[0],
        beta_shift=shifts[1],
        error_width=width,
        v_width=width + int(rng.integers(0, 9)),
        update_shift=update_shift,
        group=groups(rng, n, alone=paces) if filtered else np.zeros(n, np.int64),
        bar_drop=int(rng.integers(0, 4)) if filtered else 0,
        log_high=7 << time_constants.LOG_BITS,
        log_m=logs.log_m,
        log_r=logs.log_r,
        exponent=exponent,
        seed=int(rng.integers(1, 1 << 32)),
        rate=Rate(int(rng.integers(1 << 12, 1 << 16)), int(np.clip(reach, -128, 127))),
        tau_rate=Rate(int(rng.integers(1 << 12, 1 << 16)), int(np.clip(tau_reach, -128, 127))),
    )


def learning(
    rng: Generator, spec: NetworkSpec, *, loss: str = "squared_error", **options
) -> LearningNetwork:
    """Learning of a random network."""
    pairs = [layer_learning(rng, layer, **options) for layer in of_powers(rng, spec).layers]
    layers, each = zip(*pairs, strict=True)
    return LearningNetwork(NetworkSpec(layers), each, loss)


def learning_chip(
    rng: Generator, sizes: list[int], *, most: int = 6, recurrent: tuple[int, ...] = (), **options
) -> ChipSpec:
    """A random network that learns, on random engines."""
    network_spec = network(rng, sizes, recurrent=recurrent, weight_width=16)
    learns = learning(rng, network_spec, **options)
    return ChipSpec(learns.network, folding(rng, len(sizes) - 1, most=most), learns)


def targets(rng: Generator, spec: LearningNetwork, steps: int) -> np.ndarray:
    """Raw target frames, shape `(steps, outputs)`."""
    width = target_spec(spec).width
    top, half = spec.network.layers[-1], 1 << width - 1
    raw = rng.integers(-half, half, (steps, top.outputs))
    return np.where(rng.random(raw.shape) < 0.9, raw >> 3, raw)
