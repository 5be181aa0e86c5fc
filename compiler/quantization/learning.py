"""From a float network that learns to the integers of its learning."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vle.compiler.activation import PiecewiseLinear
from vle.compiler.fixed import Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants as logs
from vle.compiler.learning.derivative import (
    PRIME_WIDTH,
    DerivativeSpec,
    OfRate,
    OfTable,
    Pieces,
)
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.options import check_range
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec
from vle.compiler.network import NetworkSpec
from vle.compiler.quantization.formats import Widths, finest_shift
from vle.errors import CompileError
from vle.sim import Activation, Layer, Network
from vle.sim.gradients.local import group

Float = NDArray[np.float64]


@dataclass(frozen=True)
class LearningOptions:
    """How a chip is to learn.

    Parameters
    ----------
    rate, tau_rate
        Learning rates at power-up: of weights and biases; of the logarithms of time constants.
    time_constants
        Whether time constants learn; without it the circuit has nothing for them.
    tau_max
        Largest time constant that learning may reach, in seconds; None: 16 times the largest.
    weight_range
        Magnitude that weights can reach; None: 4 times the largest, and 1 at least.
    output_range
        Magnitude that the top layer's rates can reach; None: 8 times the largest seen, and 1 at
        least.
    seed
        Of the rounding.
    error_bits, v_bits
        Bits of errors and of low-passed errors.
    """

    rate: float = 0.01
    tau_rate: float = 0.0
    time_constants: bool = False
    tau_max: float | None = None
    weight_range: float | None = None
    output_range: float | None = None
    seed: int = 1
    error_bits: int = 16
    v_bits: int = 24

    def __post_init__(self) -> None:
        for name in ("rate", "tau_rate"):
            Rate.of(_real(name, getattr(self, name)))
        for name in ("tau_max", "weight_range", "output_range"):
            value = getattr(self, name)
            if value is not None and not 0 < _real(name, value) < np.inf:
                raise ValueError(f"{name} must be positive and finite, not {value!r}")
        if not isinstance(self.time_constants, bool):
            raise TypeError(f"time_constants must be a bool, not {self.time_constants!r:.60}")
        for name in ("seed", "error_bits", "v_bits"):
            if not isinstance(value := getattr(self, name), numbers.Integral):
                raise TypeError(f"{name} must be a whole number, not {value!r:.60}")
        if not 8 <= self.error_bits <= self.v_bits <= 32:
            raise ValueError(
                "error_bits must be 8 or more, and v_bits no less and up to 32, "
                f"not {self.error_bits!r} and {self.v_bits!r}"
            )

    @property
    def ranged(self) -> bool:
        """Whether a range is asked for, which formats of an earlier chip may not have."""
        return self.weight_range is not None or self.output_range is not None

    def headroom(self, widths: Widths, *, top: bool) -> Widths:
        """Bits of a layer whose signals grow as it learns."""
        chosen = top and self.output_range is not None
        least = 1.0 if not top or self.output_range is None else self.output_range
        return replace(
            widths,
            rate_headroom=1.0 if chosen else RATE_HEADROOM,
            potential_headroom=POTENTIAL_HEADROOM,
            least=least,
        )

    def reach(self, layer: Layer) -> float:
        """Magnitude that the weights of a layer can reach."""
        largest = float(np.abs(layer.weight).max())
        if layer.recurrent is not None:
            largest = max(largest, float(np.abs(layer.recurrent).max()))
        if self.weight_range is None:
            return max(4 * largest, 1.0)
        if self.weight_range < largest:
            raise CompileError(
                f"weight_range must be at least the largest weight, {largest:g}, "
                f"not {self.weight_range!r}"
            )
        return self.weight_range


def _real(name: str, value: object) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {value!r:.60}")
    return float(value)


SIGNAL_POINT = 17  # bits of a learning signal below the point: up to 1 in real units
UPDATE_SHIFTS = (8, 30)
RATE_HEADROOM, POTENTIAL_HEADROOM = 8.0, 64.0
EXPONENT = -13  # errors around 1 have room to grow


def learning_network(
    network: Network, spec: NetworkSpec, options: LearningOptions | None
) -> LearningNetwork | None:
    """How a network learns on the chip; None without options.

    Raises
    ------
    CompileError
        For what a chip that learns does not do.
    """
    if options is None:
        return None
    if network.gamma:
        raise CompileError(f"gamma must be 0 on a chip that learns, not {network.gamma!r}")
    if any(layer.backward is not None for layer in network.layers):
        raise CompileError("backward must be the transpose of weight on a chip that learns")
    if options.tau_rate and not options.time_constants:
        raise CompileError("tau_rate must be 0 on a chip whose time constants do not learn")
    try:
        layers = tuple(
            learning_spec(network, index, layer, options) for index, layer in enumerate(spec.layers)
        )
        net = LearningNetwork(spec, layers, network.loss)
        for index, own in enumerate(layers):
            check_range(net, index, "rate", own.rate.value)
            check_range(net, index, "tau_rate", own.tau_rate.value)
    except ValueError as error:
        raise CompileError(str(error)) from error
    return net


def learning_spec(
    network: Network, index: int, layer: LayerSpec, options: LearningOptions
) -> LearningSpec:
    """Learning of one layer; its time constants, where they learn, are those of `master_logs`."""
    source, dt = network.layers[index], network.dt
    derivative, prime_shift = derivative_of(source.activation, layer)
    masters = master_logs(source, dt)
    if options.time_constants:
        _, _, beta, kappa = logs.derive(masters)
        kappa_shift, beta_shift = logs.RATIO_SHIFT, logs.UNIT_SHIFT
    else:
        kappa, kappa_shift = constant(layer, "kappa", source.tau_m / source.tau_r)
        beta, beta_shift = constant(layer, "beta", dt / source.tau_r)
    filtered = network.plasticity == "filtered"
    groups = np.zeros(layer.outputs, np.int64)
    if filtered:
        for k, rows in enumerate(group(source.parameters).rows):
            groups[list(rows)] = k
    drop = max(0, int(np.ceil(np.log2((source.tau_r / source.tau_m).max())))) if filtered else 0
    f_weight = layer.scale_shift + layer.u_format.f_bits - layer.x_format.f_bits
    shift = SIGNAL_POINT - f_weight + layer.x_format.f_bits - drop
    high = _tau_max(source, options)
    return LearningSpec(
        plasticity=network.plasticity,
        loop=source.recurrent is not None and network.error_recurrence,
        time_constants=options.time_constants,
        derivative=derivative,
        prime_shift=prime_shift,
        kappa=kappa,
        beta=beta,
        kappa_shift=kappa_shift,
        beta_shift=beta_shift,
        error_width=options.error_bits,
        v_width=options.v_bits,
        update_shift=int(np.clip(shift, *UPDATE_SHIFTS)),
        group=groups,
        bar_drop=drop,
        log_high=min(round(np.log2(high / dt) * (1 << logs.LOG_BITS)), (1 << logs.LOG_WIDTH) - 1),
        log_m=masters.log_m,
        log_r=masters.log_r,
        exponent=EXPONENT,
        seed=(options.seed * 0x9E3779B1 + index * 0x85EBCA77) % ((1 << 32) - 1) + 1,
        rate=Rate.of(options.rate * network.beta),
        tau_rate=Rate.of(options.tau_rate * network.beta / np.log(2)),
    )


def _tau_max(layer: Layer, options: LearningOptions) -> float:
    largest = float(max(layer.tau_m.max(), layer.tau_r.max()))
    if options.tau_max is None:
        return 16 * largest
    if options.time_constants and options.tau_max < largest:
        raise CompileError(
            f"tau_max must be at least the largest time constant, {largest:g}, "
            f"not {options.tau_max!r}"
        )
    return max(options.tau_max, largest)


def master_logs(layer: Layer, dt: float) -> logs.Logs:
    """Raw logarithms of a layer's time constants in units of `dt`."""

    def raw(tau: Float) -> Raw:
        exact = np.floor(np.ldexp(np.log2(tau / dt), logs.LOG_BITS) + 0.5)
        return np.clip(exact, 0, (1 << logs.LOG_WIDTH) - 1).astype(np.int64)

    return logs.Logs(raw(layer.tau_m), raw(layer.tau_r))


def constant(layer: LayerSpec, what: str, value: Float) -> tuple[Raw, int]:
    """Words of a constant at the finest binary point at which the layer's width holds the largest.

    Raises
    ------
    CompileError
        For a constant that needs more bits.
    """
    width = layer.constant_width
    shift = min(finest_shift(value.max(), width), 40)
    if shift < 0:
        raise CompileError(f"{layer.name}: {what} up to {value.max():g} needs over {width} bits")
    return np.floor(np.ldexp(value, shift) + 0.5).astype(np.int64), shift


def derivative_of(phi: Activation, layer: LayerSpec) -> tuple[DerivativeSpec, int]:
    """Circuit of the derivative, and the bits of its words below the point."""
    f_r, f_u, circuit = layer.rate_format.f_bits, layer.u_format.f_bits, layer.activation
    if phi.name in ("tanh", "sigmoid"):
        point = min(PRIME_WIDTH - 2, 2 * f_r)
        tanh = phi.name == "tanh"
        one, linear = (1 << 2 * f_r, None) if tanh else (0, f_r)
        return OfRate(one, linear, 2 * f_r - point), point
    if isinstance(circuit, PiecewiseLinear):
        unit = f_u - f_r - circuit.shift  # of a slope, in real units
        slopes = (circuit.negative_slope, circuit.positive_slope)
        largest = max(*(abs(np.ldexp(float(s), unit)) for s in slopes), 2.0**-20)
        point = PRIME_WIDTH - 2 - max(0, int(np.floor(np.log2(largest))))
        words = [int(np.floor(np.ldexp(float(s), unit + point) + 0.5)) for s in slopes]
        return Pieces(*words), point
    point = PRIME_WIDTH - 2
    tail = 0 if circuit.tail_shift is None else 1 << point
    return OfTable(point + f_u - f_r - circuit.shift, tail), point
