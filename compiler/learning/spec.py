"""What a layer that learns has beside its inference: formats, constants, rates."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import time_constants
from vle.compiler.learning.derivative import DerivativeSpec
from vle.compiler.learning.errors import drop_of, sum_width
from vle.compiler.learning.rate import Rate

PLASTICITIES = ("prospective", "filtered")
ERROR_BITS = 62  # of a prospective error before it is rounded
MOST_GROUPS = 4  # pairs of time constants in a layer that hears filtered inputs
CONSTANTS = ("kappa", "beta")


@dataclass(frozen=True, eq=False)
class LearningSpec:
    """Learning of one layer in fixed point.

    Parameters
    ----------
    plasticity
        ``prospective``: updates are `e x^T`; ``filtered``: `inst_e xbar^T`.
    loop
        Whether errors also pass through the layer's own recurrent weights.
    time_constants
        Whether `tau_m` and `tau_r` learn; their masters are then `log_m` and `log_r`, and `alpha`,
        `rho`, `kappa` and `beta` follow from them.
    derivative
        Derivative of the activation.
    prime_shift
        Bits of a derivative below the point.
    kappa, beta
        Raw `tau_m / tau_r` and `dt / tau_r`, unsigned, shape `(outputs,)`.
    kappa_shift, beta_shift
        Their binary points.
    error_width, v_width
        Bits of `inst_e` and `e`, and of `v`, whose further bits lie below the point.
    update_shift
        Bits of a weight's update below the weight's last bit; 8 to 30.
    group
        Which trace each neuron listens to, shape `(outputs,)`; by `filtered` only.
    bar_drop
        Bits by which a filtered input is coarser than an input.
    log_high
        Largest raw logarithm of a time constant.
    log_m, log_r
        Masters of the time constants, shape `(outputs,)`; where they learn.
    exponent
        Of the errors, at first.
    seed
        Of the layer's draws: 32 bits, not 0.
    rate, tau_rate
        Learning rates, at first: of weights and biases; of the logarithms, to base 2, of time
        constants, `1 / ln 2` times that of natural ones.
    """

    plasticity: str
    loop: bool
    time_constants: bool
    derivative: DerivativeSpec = field(repr=False)
    prime_shift: int
    kappa: Raw = field(repr=False)
    beta: Raw = field(repr=False)
    kappa_shift: int
    beta_shift: int
    error_width: int
    v_width: int
    update_shift: int
    group: Raw = field(repr=False)
    bar_drop: int
    log_high: int
    log_m: Raw = field(repr=False)
    log_r: Raw = field(repr=False)
    exponent: int
    seed: int
    rate: Rate
    tau_rate: Rate

    def __post_init__(self) -> None:
        if self.plasticity not in PLASTICITIES:
            names = ", ".join(PLASTICITIES)
            raise ValueError(f"plasticity must be one of {names}, not {self.plasticity!r}")
        if not 8 <= self.error_width <= self.v_width <= 32:
            raise ValueError("error_width must be 8 or more, and v_width up to 32, and no less")
        if not 8 <= self.update_shift <= 30:
            raise ValueError(f"update_shift must be in 8..30, not {self.update_shift!r}")
        if not 0 < self.seed < 1 << 32:
            raise ValueError(f"seed must be in 1..2**32 - 1, not {self.seed!r}")
        if self.groups > MOST_GROUPS:
            raise ValueError(
                f"pairs of time constants must be {MOST_GROUPS} or fewer for filtered inputs, "
                f"not {self.groups}"
            )
        alone = self.groups == len(self.group)
        if self.filtered and self.time_constants and not alone:
            raise ValueError("time constants that learn must be one per trace of filtered inputs")
        for name in ("kappa", "beta", "group", "log_m", "log_r"):
            words = getattr(self, name).astype(np.int64)
            words.setflags(write=False)
            object.__setattr__(self, name, words)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LearningSpec):
            return NotImplemented
        names = [f.name for f in fields(self)]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    def __hash__(self) -> int:
        return hash((self.plasticity, self.seed, self.kappa.tobytes(), self.beta.tobytes()))

    @property
    def filtered(self) -> bool:
        """Whether updates multiply filtered inputs."""
        return self.plasticity == "filtered"

    @property
    def groups(self) -> int:
        """Traces per column."""
        return int(self.group.max()) + 1 if self.filtered else 0

    @property
    def first(self) -> Raw:
        """One neuron of each group, whose time constants the group's trace has."""
        return np.array([int(np.flatnonzero(self.group == k)[0]) for k in range(self.groups)])

    def heard_width(self, layer: LayerSpec) -> int:
        """Bits of what a weight is multiplied with: an input, a rate, or a filtered one."""
        return max(layer.x_format.width, layer.rate_format.width if layer.recurrent else 0)

    def check(self, layer: LayerSpec) -> None:
        """Refuse a layer that this learning is not for."""
        if np.any(layer.scale != 1):
            raise ValueError(f"{layer.name}: scales must be powers of two where it learns")
        if layer.recurrent and layer.x_format.f_bits != layer.rate_format.f_bits:
            raise ValueError(f"{layer.name}: x_format and rate_format must have the same f_bits")
        reach = layer.columns << layer.weight_width + self.heard_width(layer) - 2
        if reach >= 1 << 53:
            raise ValueError(f"{layer.name}: sums of inputs must fit 53 bits whatever it learns")
        if sum_width(layer.outputs, layer.weight_width, self.error_width) > 53:
            raise ValueError(f"{layer.name}: sums of errors must fit 53 bits")
        for name in ("kappa_shift", "beta_shift"):
            if (shift := getattr(self, name)) < 0:
                raise ValueError(f"{layer.name}: {name} must be 0 or more, not {shift!r}")
        if self.v_width + self.kappa_shift > ERROR_BITS:
            raise ValueError(
                f"{layer.name}: v_width and kappa_shift must be {ERROR_BITS} bits or fewer "
                f"together, not {self.v_width} and {self.kappa_shift} (tau_r too far above tau_m)"
            )
        shapes = {name: getattr(self, name).shape for name in CONSTANTS}
        if self.time_constants:
            shapes |= {"log_m": self.log_m.shape, "log_r": self.log_r.shape}
        if self.filtered:
            shapes["group"] = self.group.shape
        for name, shape in shapes.items():
            if shape != (layer.outputs,):
                raise ValueError(
                    f"{layer.name}: {name} must be of shape ({layer.outputs},), not {shape}"
                )
        if self.time_constants:
            self._check_logs(layer)

    def _check_logs(self, layer: LayerSpec) -> None:
        logs = time_constants.Logs(self.log_m, self.log_r)
        words = time_constants.derive(logs)
        found = (layer.alpha, layer.rho, self.beta, self.kappa)
        names = ("alpha", "rho", "beta", "kappa")
        for name, got, wanted in zip(names, found, words, strict=True):
            if not np.array_equal(got, wanted):
                raise ValueError(f"{layer.name}: {name} must follow from log_m and log_r")
        shifts = (layer.alpha_shift, self.beta_shift, layer.rho_shift, self.kappa_shift)
        unit, ratio = time_constants.UNIT_SHIFT, time_constants.RATIO_SHIFT
        if shifts != (unit, unit, ratio, ratio):
            raise ValueError(f"{layer.name}: shifts must be those of learned time constants")


@dataclass(frozen=True)
class Points:
    """Binary points that follow from a layer's formats, in bits.

    Parameters
    ----------
    weight
        Below the point of a weight.
    sums
        Exponent of a column's sum as it is sent down, less that of the layer's errors.
    drop
        Bits dropped from a column's sum.
    signal
        From an error word with exponent 0 to a learning signal of a rate of 1.
    bias
        Bits of a learning signal below a bias's last.
    tau
        From an error word with exponent 0 to the signal of a time constant of a rate of 1.
    tau_shift
        Bits of a logarithm's update below its last.
    """

    weight: int
    sums: int
    drop: int
    signal: int
    bias: int
    tau: int
    tau_shift: int

    @classmethod
    def of(cls, layer: LayerSpec, learning: LearningSpec) -> Points:
        """Points of a layer: `dw * 2**f_w = rate * e * x * 2**(f_w + exponent - f_x)` words."""
        f_x, f_u = layer.x_format.f_bits, layer.u_format.f_bits
        weight = layer.scale_shift + f_u - f_x
        drop = drop_of(layer.outputs, layer.weight_width, learning.error_width)
        f_bar = f_x - (learning.bar_drop if learning.filtered else 0)
        signal = weight - f_bar + learning.update_shift
        tau_shift = min(max(f_u - 2, 8), 30)  # so that a signal has 17 bits below the point
        tau = time_constants.LOG_BITS + tau_shift - f_u
        return cls(weight, drop - weight, drop, signal, signal - f_u, tau, tau_shift)
