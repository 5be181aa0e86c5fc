"""Whether a chip that learns still learns, from its counters and exponents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.errors import Diverged
from vle.host.chip import Chip, Raw

HIGHEST = 31  # of an exponent
WEIGHTS = 0.05  # share of a layer's weights that updates may push against the ends of their format
OUTPUTS = 0.5  # share of the words of the top layer that may be clamped
WRAP = 1 << 32  # of a counter


@dataclass(frozen=True)
class Vitals:
    """What tells whether learning goes well.

    Parameters
    ----------
    exponent
        Of each layer's errors, shape `(layers,)`.
    weights
        Weights clamped so far, shape `(layers,)`.
    outputs
        Rates of the top layer clamped so far.
    """

    exponent: Raw
    weights: Raw
    outputs: int

    @classmethod
    def of(cls, chip: Chip) -> Vitals:
        """Read them; the chip must be halted."""
        layers = range(len(chip.bundle.layers))
        words = chip.read_all([[f"EXPONENT[{k}]", f"CLAMPED[{k}][weight]"] for k in layers])
        exponent = (words[:, 0] & 0xFF).astype(np.uint8).view(np.int8).astype(np.int64)
        outputs = chip.read(f"SATURATION[{len(chip.bundle.layers) - 1}][rate]")
        return cls(exponent, words[:, 1], outputs)

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
        Diverged
            Naming the layer, where errors have outgrown the highest exponent, more than a
            twentieth of its weights was clamped per update, or more than half of the outputs were.
        """
        layers = chip.bundle.layers
        clamped = (self.weights - before.weights) % WRAP
        for layer, exponent, count in zip(layers, self.exponent, clamped, strict=True):
            if exponent >= HIGHEST:
                raise Diverged(f"errors reached 2**{HIGHEST}", layer=layer.name, output=output)
            share = count / max(1, updates * np.prod(layer.shape("weight")))
            if share > WEIGHTS:
                rule = f"{share:.0%} of the weights were clamped per update"
                raise Diverged(rule, layer=layer.name, output=output)
        share = (self.outputs - before.outputs) % WRAP / max(1, steps * layers[-1].outputs)
        if share > OUTPUTS:
            rule = f"{share:.0%} of the outputs were clamped"
            raise Diverged(rule, layer=layers[-1].name, output=output)
