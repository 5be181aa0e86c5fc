"""Which layer hurts: the error of the outputs where one layer alone has few bits per weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vle.compiler.quantization.choice import Choice

FULL = 16  # bits of all other layers
LADDER = (2, 3, 4, 5, 6, 7, 8, 9, 10)  # that each layer is tried at


def tries(full: Choice, ladder: Sequence[int] = LADDER) -> list[Choice]:
    """All layers with full weights, then each alone at each width of the ladder."""
    layers = range(len(full.weight))
    return [full, *(full.at((layer,), bits) for layer in layers for bits in ladder)]


@dataclass(frozen=True)
class Sensitivity:
    """What bits of each layer are worth.

    Errors of roundings are all but independent, so their powers add up: that of a network is
    about the base's plus those of its layers.

    Parameters
    ----------
    base
        Error with full weights everywhere, relative as of `Judge.error`.
    errors
        Error with one layer alone at some bits, per layer; infinite where it cannot be had.
    """

    base: float
    errors: tuple[dict[int, float], ...]

    @classmethod
    def of(
        cls, errors: Iterable[float], layers: int, ladder: Sequence[int] = LADDER
    ) -> Sensitivity:
        """Put together what `tries` have shown, in their order."""
        base, *rest = errors
        rows = [rest[i * len(ladder) : (i + 1) * len(ladder)] for i in range(layers)]
        return cls(base, tuple(dict(zip(ladder, row, strict=True)) for row in rows))

    def power(self, layer: int, bits: int) -> float:
        """Power that a layer adds to the error of the outputs.

        Beyond the ladder each bit takes three quarters of it.
        """
        row = self.errors[layer]
        tried = min(max(row), max(bits, min(row)))
        more = max(row[tried] ** 2 - self.base**2, 0.0)
        return float(more / 4.0 ** max(bits - tried, 0))

    def table(self, choice: Choice) -> list[dict[str, Any]]:
        """Rows for a report: what each layer adds at its width, its share of that, and the rest."""
        added = [self.power(layer, bits) for layer, bits in enumerate(choice.weight)]
        return [
            {
                "layer": f"layer {layer}",
                "weight_width": bits,
                "adds": added[layer] ** 0.5,
                "share": added[layer] / (sum(added) or 1.0),
                "errors": {str(at): _finite(error) for at, error in self.errors[layer].items()},
            }
            for layer, bits in enumerate(choice.weight)
        ]


def _finite(error: float) -> float | None:
    return error if error < float("inf") else None
