"""Integer networks of random sizes, formats and words, in which every narrowing happens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear, Table
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec


def random_activation(rng: np.random.Generator, u: Fixed, r: Fixed) -> ActivationSpec:
    if rng.integers(2):
        low, high = sorted(rng.integers(r.low, r.high + 1, 2).tolist())
        return PiecewiseLinear(
            negative_slope=int(rng.integers(-(1 << 17), 1 << 17)),
            positive_slope=int(rng.integers(-(1 << 17), 1 << 17)),
            shift=int(rng.integers(0, 20)),
            offset=int(rng.integers(r.low, r.high + 1)),
            low=low,
            high=high,
            counts_low=bool(rng.integers(2)),
            counts_high=bool(rng.integers(2)),
        )
    entries = 1 << int(rng.integers(1, 6))
    nodes = rng.integers(r.low, r.high + 1, entries + 1)
    return Table(
        shift=int(rng.integers(1, max(2, u.width - 4))),
        value=tuple(nodes[:-1].tolist()),
        delta=tuple(np.diff(nodes).tolist()),
        rate_width=r.width,
        tail_shift=int(rng.integers(0, 12)) if rng.integers(2) else None,
    )


def random_layer(
    rng: np.random.Generator, name: str, inputs: int, outputs: int, *, x: Fixed, recurrent: bool
) -> LayerSpec:
    u = Fixed(int(rng.integers(3, 9)), int(rng.integers(8, 17)))
    r = Fixed(int(rng.integers(1, 4)), int(rng.integers(4, 15)))
    weight_width = int(rng.integers(2, 17))
    half = 1 << (weight_width - 1)
    columns = inputs + outputs * recurrent
    acc = half * 2.0 ** (x.width - 1)
    return LayerSpec(
        name=name,
        weight=rng.integers(-half, half, (outputs, columns)),
        scale=rng.integers(0, 1 << 16, outputs),
        bias=rng.integers(u.low, u.high + 1, outputs) // 2,
        alpha=rng.integers(0, (1 << 17) + 1, outputs),
        rho=rng.integers(0, 1 << 18, outputs),
        scale_shift=int(np.clip(np.log2(acc) + 16 - u.width + rng.integers(0, 3), 0, 62)),
        alpha_shift=17,
        rho_shift=int(rng.integers(14, 19)),
        activation=random_activation(rng, u, r),
        recurrent=recurrent,
        weight_width=weight_width,
        scale_width=16,
        constant_width=18,
        x_format=x,
        u_format=u,
        rate_format=r,
    )


def random_spec(
    rng: np.random.Generator, sizes: list[int], recurrent: bool | None = None
) -> NetworkSpec:
    layers: list[LayerSpec] = []
    x = Fixed(2, int(rng.integers(4, 15)))
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        loop = bool(rng.integers(2)) if recurrent is None else recurrent
        layers.append(random_layer(rng, f"layer {index}", inputs, outputs, x=x, recurrent=loop))
        x = layers[-1].rate_format
    return NetworkSpec(tuple(layers))
