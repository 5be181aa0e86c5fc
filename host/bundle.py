"""What the driver needs to know of a compiled network, read from its bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vle.errors import TransportError
from vle.host.registers import RegisterMap, integers

FORMAT = ("vle-bundle", 1)


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

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest raw value."""
        return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1


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
    x, rate
        Formats of what it hears from below and of what it says.
    acc_width
        Bits of its accumulators.
    entries
        Of its table; 0 where it has none.
    """

    name: str
    inputs: int
    outputs: int
    recurrent: bool
    x: Format
    rate: Format
    acc_width: int
    entries: int

    def shape(self, kind: str) -> tuple[int, ...]:
        """Shape of a parameter or a part of the state."""
        if kind == "weight":
            return (self.outputs, self.inputs + self.outputs * self.recurrent)
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


@dataclass(frozen=True)
class Bundle:
    """A compiled network, as its driver sees it.

    Parameters
    ----------
    folder
        Where the bundle lies.
    layers
        From the input to the output.
    aligned
        Whether sequences are flushed and shifted unless asked otherwise.
    map
        Registers and windows.
    verilog
        Text of the top.
    plain
        The manifest.
    """

    folder: Path
    layers: tuple[LayerShape, ...]
    aligned: bool
    map: RegisterMap = field(repr=False)
    verilog: str = field(repr=False)
    plain: dict[str, Any] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle with Verilog.

        Raises
        ------
        TransportError
            Where the folder is none.
        """
        try:
            plain = json.loads((folder / "design.json").read_text())
            verilog = (folder / "top.v").read_text()
        except FileNotFoundError as error:
            text = f"{folder} must be a bundle with Verilog, but has no {Path(error.filename).name}"
            raise TransportError(text) from error
        except (OSError, ValueError) as error:
            raise TransportError(f"{folder} must be a bundle: {error}") from error
        try:
            if (plain["format"], plain["version"]) != FORMAT:
                raise TransportError(f"{folder} must be a bundle of version {FORMAT[1]}")
            return cls.of_json(plain, verilog, folder)
        except (KeyError, TypeError) as error:
            raise TransportError(f"{folder} must be a bundle, but lacks {error}") from error

    @classmethod
    def of_json(cls, plain: dict[str, Any], verilog: str, folder: Path) -> Self:
        """Read the manifest."""
        layers = tuple(_layer(layer) for layer in plain["layers"])
        registers = RegisterMap.of_json(plain["registers"])
        return cls(folder, layers, plain["aligned"], registers, verilog, plain)

    @property
    def inputs(self) -> int:
        """Words of an input frame."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Words of an output frame."""
        return self.layers[-1].outputs

    @property
    def latency_steps(self) -> int:
        """Steps from an input frame to the output frame that answers it."""
        return len(self.layers) - 1


def _layer(plain: dict[str, Any]) -> LayerShape:
    x, rate = (
        Format(plain[name]["i_bits"] + plain[name]["f_bits"], plain[name]["f_bits"])
        for name in ("x_format", "rate_format")
    )
    sizes = (plain["name"], plain["inputs"], plain["outputs"], plain["recurrent"])
    entries = plain["activation"].get("entries", 0)
    return LayerShape(*sizes, x, rate, plain["acc_width"], entries)
