"""Whether a chip that learns still learns, from its counters and exponents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.errors import DivergenceError
from vle.host.chip import Chip, Raw
from vle.host.shapes import LayerShape

EXPONENT = 16  # errors of 2**29 and more; those of networks that learn well stay below 2**22
SIGNALS = 0.5  # share of a layer's learning signals that may be clamped: half of the errors too far
WEIGHTS = 0.05  # share of a layer's weights that updates may push against the ends of their format
OUTPUTS = 0.5  # share of the words of the top layer that may be clamped
WRAP = 1 << 32  # of a counter
COUNTED = ("signals", "weights")


@dataclass(frozen=True)
class Vitals:
    """What tells whether learning goes well.

    Parameters
    ----------
    exponent
        Of each layer's errors, shape `(layers,)`.
    signals, weights
        Learning signals and weights clamped so far, shape `(layers,)`.
    outputs
        Rates of the top layer clamped so far.
    """

    exponent: Raw
    signals: Raw
    weights: Raw
    outputs: int

    @classmethod
    def of(cls, chip: Chip) -> Vitals:
        """Read them; the chip must be halted."""
        layers, kinds = range(len(chip.bundle.layers)), ("signal", "weight")
        words = chip.read_all(
            [[f"EXPONENT[{k}]", *(f"CLAMPED[{k}][{kind}]" for kind in kinds)] for k in layers]
        )
        exponent = (words[:, 0] & 0xFF).astype(np.uint8).view(np.int8).astype(np.int64)
        outputs = chip.read(f"SATURATION[{len(chip.bundle.layers) - 1}][rate]")
        return cls(exponent, words[:, 1], words[:, 2], outputs)

    def check(
        self, chip: Chip, before: Vitals, steps: int, updates: int, output: NDArray[np.float64]
    ) -> None:
        """Compare with what was before some steps.

        Parameters
        ----------
        chip
            Its layers.
        before
            Vitals before the steps.
        steps, updates
            How many there were, and how many of them updated weights.
        output
            What the chip has answered, for the error.

        Raises
        ------
        DivergenceError
            Naming the layer: where its errors have grown beyond 2**29, where more than half of its
            learning signals or a twentieth of its weights were clamped per update, or more than
            half of the outputs per step.
        """
        layers, updates = chip.bundle.layers, max(1, updates)
        signals, weights = (
            (getattr(self, name) - getattr(before, name)) % WRAP for name in COUNTED
        )
        found = []
        for layer, exponent, signal, weight in zip(
            layers, self.exponent, signals, weights, strict=True
        ):
            share = signal / (updates * layer.outputs * _signals(layer))
            clamped = weight / (updates * np.prod(layer.shape("weight")))
            found += [
                (
                    exponent >= EXPONENT,
                    layer,
                    f"its errors have grown to 2**{_size(layer, exponent)}",
                ),
                (share > SIGNALS, layer, f"{share:.0%} of its learning signals were clamped"),
                (clamped > WEIGHTS, layer, f"{clamped:.1%} of its weights were clamped per update"),
            ]
        share = (self.outputs - before.outputs) % WRAP / max(1, steps * layers[-1].outputs)
        found.append((share > OUTPUTS, layers[-1], f"{share:.0%} of its rates were clamped"))
        for wrong, layer, rule in found:
            if wrong:
                raise DivergenceError(rule, layer=layer.name, output=output)


def _size(layer: LayerShape, exponent: int) -> int:
    """Bits of the errors that an exponent is for: all but the sign and the two left free."""
    assert layer.learning is not None
    return int(exponent) + layer.learning.error_width - 3


def _signals(layer: LayerShape) -> int:
    """Learning signals of a neuron: of its weights, and of its time constants where they learn."""
    assert layer.learning is not None
    return 3 if layer.learning.time_constants else 1
