"""Sizes, formats and ways of learning of layers, as a bundle says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vle.host.checks import integers


@dataclass(frozen=True)
class Format:
    """A signed fixed-point format, `value = raw * 2**-f_bits`."""

    width: int
    f_bits: int

    def quantize(self, value: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
        """Nearest raw values, half rounded up, and how many had to be clamped."""
        scaled = np.floor(np.ldexp(value, self.f_bits) + 0.5)
        raw = np.clip(scaled, -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1)
        return raw.astype(np.int64), int(np.count_nonzero(raw != scaled))

    def real(self, raw: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values of raw words."""
        return np.ldexp(raw.astype(np.float64), -self.f_bits)

    @classmethod
    def of_json(cls, plain: dict[str, int]) -> Self:
        """Read a format of a manifest."""
        return cls(plain["i_bits"] + plain["f_bits"], plain["f_bits"])

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest raw value."""
        return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1


@dataclass(frozen=True)
class LayerLearning:
    """How a layer learns.

    Parameters
    ----------
    error_width, v_width
        Bits of an error, and of a low-passed one, whose further bits lie below the point.
    groups
        Filtered inputs per column; 0 where updates multiply the inputs themselves.
    exponent
        Of its errors, at first.
    time_constants
        Whether they learn.
    weight_point, signal_point, tau_point
        As `vle.compiler.learning.spec.Points`.
    """

    error_width: int
    v_width: int
    groups: int
    exponent: int
    time_constants: bool
    weight_point: int
    signal_point: int
    tau_point: int

    @classmethod
    def of_json(cls, plain: dict[str, Any]) -> Self:
        """Read what a manifest says of a layer that learns."""
        names = ("error_width", "v_width", "groups", "exponent", "time_constants")
        points = plain["points"]
        return cls(
            **{name: plain[name] for name in names},
            **{f"{name}_point": points[name] for name in ("weight", "signal", "tau")},
        )


@dataclass(frozen=True)
class NetworkLearning:
    """What the layers of a network that learns have in common.

    Parameters
    ----------
    loss
        ``squared_error`` or ``cross_entropy``.
    target
        Format of a target.
    beta
        Weight of the loss, by which rates count.
    """

    loss: str
    target: Format
    beta: float

    @property
    def rate_scales(self) -> tuple[float, float]:
        """From rates of a user, of weights and of time constants, to those of registers."""
        return self.beta, self.beta / float(np.log(2))


@dataclass(frozen=True)
class LayerShape:
    """Sizes and formats of a layer.

    Parameters
    ----------
    name
        As the compiler calls it.
    inputs, outputs
        Numbers of rates heard from below, and of neurons.
    recurrent
        Whether it hears its own rates, too.
    x, rate, u
        Formats of what it hears from below, of what it says, and of its potentials.
    acc_width
        Bits of its accumulators.
    entries
        Of its table; 0 where it has none.
    learning
        How it learns; None: it does not.
    """

    name: str
    inputs: int
    outputs: int
    recurrent: bool
    x: Format
    rate: Format
    u: Format
    acc_width: int
    entries: int
    learning: LayerLearning | None = None

    @classmethod
    def of_json(cls, plain: dict[str, Any], learning: dict[str, Any] | None) -> Self:
        """Read what a manifest says of a layer, and of its learning."""
        names = ("name", "inputs", "outputs", "recurrent", "acc_width")
        fields: dict[str, Any] = {name: plain[name] for name in names}
        fields |= {name: Format.of_json(plain[f"{name}_format"]) for name in ("x", "rate", "u")}
        own = None if learning is None else LayerLearning.of_json(learning)
        return cls(**fields, entries=plain["activation"].get("entries", 0), learning=own)

    def shape(self, kind: str) -> tuple[int, ...]:
        """Shape of a parameter or a part of the state."""
        columns = self.inputs + self.outputs * self.recurrent
        if kind == "weight":
            return (self.outputs, columns)
        if kind == "down":
            return (self.inputs,)
        if kind.startswith("trace") and self.learning is not None:
            return (self.learning.groups, columns)
        return (self.entries if kind.startswith("table") else self.outputs,)

    def check_table(self, value: NDArray[np.int64], delta: NDArray[np.int64]) -> None:
        """Prove that nothing between two entries passes the ends of the rate's format.

        Raises
        ------
        ValueError
            Where something does.
        """
        integers(f"{self.name}: table_value + table_delta", value + delta, self.rate.limits)

    def check_accumulator(self, weight: NDArray[np.int64]) -> None:
        """Prove that no input can overflow a sum with these weights.

        Raises
        ------
        ValueError
            Naming the neuron whose sum could.
        """
        reach = np.full(weight.shape[1], 1 << (self.x.width - 1))
        reach[self.inputs :] = 1 << (self.rate.width - 1)
        bounds = np.abs(weight) @ reach
        worst = int(bounds.argmax())
        if bounds[worst] >= 1 << (self.acc_width - 1):
            raise ValueError(
                f"{self.name}: sum of neuron {worst} must fit {self.acc_width} bits,"
                f" not reach {bounds[worst]}"
            )
