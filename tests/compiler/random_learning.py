"""Integer networks that learn, of random sizes, formats, words, rules and rates."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from random_specs import random_activation

from vle.compiler.activation import PiecewiseLinear
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants as logs
from vle.compiler.learning.derivative import PRIME_WIDTH, DerivativeSpec, OfRate, OfTable, Pieces
from vle.compiler.learning.network import LOSSES, LearningNetwork
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.network import NetworkSpec


def random_derivative(rng: np.random.Generator, layer: LayerSpec) -> DerivativeSpec:
    f_r, half = layer.rate_format.f_bits, 1 << PRIME_WIDTH - 1
    if rng.integers(3) == 0:
        shift = int(rng.integers(0, 2 * f_r + 1))
        linear = int(rng.integers(0, f_r + 1)) if rng.integers(2) else None
        return OfRate(1 << 2 * f_r, linear, shift)
    if isinstance(layer.activation, PiecewiseLinear):
        return Pieces(*rng.integers(-half, half, 2).tolist())
    return OfTable(int(rng.integers(-8, 12)), int(rng.integers(-half, half)))


def random_layer(
    rng: np.random.Generator, name: str, sizes: tuple[int, int], x: Fixed, tau: logs.Logs | None
) -> LayerSpec:
    inputs, outputs = sizes
    recurrent = bool(rng.integers(2))
    u = Fixed(int(rng.integers(3, 9)), int(rng.integers(8, 17)))
    r = Fixed(int(rng.integers(1, 4)), x.f_bits if recurrent else int(rng.integers(4, 15)))
    weight_width = int(rng.integers(4, 19))
    half = 1 << weight_width - 1
    acc = half * 2.0 ** (max(x.width, r.width) - 1)
    shift = int(np.clip(np.log2(acc) + 2 - u.width + rng.integers(0, 4), 0, 40))
    alpha, rho, shifts, width = _constants(rng, outputs, tau)
    return LayerSpec(
        name=name,
        weight=rng.integers(-half, half, (outputs, inputs + outputs * recurrent)),
        scale=np.ones(outputs, np.int64),
        bias=rng.integers(u.low, u.high + 1, outputs) // 2,
        alpha=alpha,
        rho=rho,
        scale_shift=shift,
        alpha_shift=shifts[0],
        rho_shift=shifts[1],
        activation=random_activation(rng, u, r),
        recurrent=recurrent,
        weight_width=weight_width,
        scale_width=1,
        constant_width=width,
        x_format=x,
        u_format=u,
        rate_format=r,
    )


def _constants(rng, n, tau):
    if tau is not None:
        words = logs.derive(tau)
        shifts = (logs.UNIT_SHIFT, logs.RATIO_SHIFT)
        return words.alpha, words.rho, shifts, logs.CONSTANT_WIDTH
    alpha, rho = rng.integers(0, (1 << 17) + 1, n), rng.integers(0, 1 << 18, n)
    return alpha, rho, (17, int(rng.integers(14, 19))), 18


def random_rate(rng: np.random.Generator, point: int) -> Rate:
    """Mostly such that signals, `point` bits below the point, use their bits."""
    exponent = point + int(rng.integers(-8, 12)) if rng.integers(8) else rng.integers(-128, 128)
    return Rate(int(rng.integers(0, 1 << 16)), int(np.clip(exponent, -128, 127)))


def with_random_rates(
    rng: np.random.Generator, layer: LayerSpec, learning: LearningSpec
) -> LearningSpec:
    points = Points.of(layer, learning)
    signal, tau = (point + learning.exponent for point in (points.signal, points.tau))
    return replace(learning, rate=random_rate(rng, signal), tau_rate=random_rate(rng, tau))


def random_learning(
    rng: np.random.Generator, layer: LayerSpec, plasticity: str, tau: logs.Logs | None
) -> LearningSpec:
    n, error_width = layer.outputs, int(rng.integers(8, 19))
    group = np.zeros(n, np.int64)
    if plasticity == "filtered":
        most = min(n, 4)
        group = np.arange(n) % (n if tau is not None else int(rng.integers(1, most + 1)))
        rng.shuffle(group)
    kappa, beta = rng.integers(0, 1 << 18, n), rng.integers(0, (1 << 17) + 1, n)
    kappa_shift, beta_shift = int(rng.integers(12, 18)), 17
    if tau is not None:
        words = logs.derive(tau)
        kappa, beta = words.kappa, words.beta
        kappa_shift, beta_shift = logs.RATIO_SHIFT, logs.UNIT_SHIFT
    masters = logs.Logs(np.zeros(n, np.int64), np.zeros(n, np.int64)) if tau is None else tau
    return LearningSpec(
        plasticity=plasticity,
        loop=bool(rng.integers(2)),
        time_constants=tau is not None,
        derivative=random_derivative(rng, layer),
        prime_shift=int(rng.integers(12, 18)),
        kappa=kappa,
        beta=beta,
        kappa_shift=kappa_shift,
        beta_shift=beta_shift,
        error_width=error_width,
        v_width=int(rng.integers(error_width, 31)),
        update_shift=int(rng.integers(8, 31)),
        group=group,
        bar_drop=int(rng.integers(0, 3)) if plasticity == "filtered" else 0,
        log_high=int(rng.integers(6, 10)) << logs.LOG_BITS,
        log_m=masters.log_m,
        log_r=masters.log_r,
        exponent=int(rng.integers(-20, -4)),
        seed=int(rng.integers(1, 1 << 32)),
        rate=Rate(),
        tau_rate=Rate(),
    )


def random_network(rng: np.random.Generator, sizes: list[int], **fixed: object) -> LearningNetwork:
    """A network; `fixed` may give `loss`, `plasticity` and `time_constants`."""
    loss = str(fixed.get("loss", LOSSES[rng.integers(2)]))
    layers, specs = [], []
    x = Fixed(2, int(rng.integers(4, 15)))
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        plasticity = ("prospective", "filtered")[rng.integers(2)]
        plasticity = str(fixed.get("plasticity", plasticity))
        learns_tau = bool(fixed.get("time_constants", rng.integers(2)))
        learns_tau &= plasticity == "prospective" or outputs <= 4
        high = 6 << logs.LOG_BITS
        tau = logs.Logs(*rng.integers(0, high, (2, outputs))) if learns_tau else None
        layers.append(random_layer(rng, f"layer {index}", (inputs, outputs), x, tau))
        learning = random_learning(rng, layers[-1], plasticity, tau)
        specs.append(with_random_rates(rng, layers[-1], learning))
        x = layers[-1].rate_format
    return LearningNetwork(NetworkSpec(tuple(layers)), tuple(specs), loss)


def with_rates(net: LearningNetwork, rate: Rate, tau_rate: Rate) -> LearningNetwork:
    """The network with other rates."""
    specs = tuple(replace(spec, rate=rate, tau_rate=tau_rate) for spec in net.learning)
    return LearningNetwork(net.network, specs, net.loss)
