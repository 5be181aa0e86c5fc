"""The whole way from a model to a design."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from vle.compiler.calibration import calibrate
from vle.compiler.design import Design
from vle.compiler.formats import Widths
from vle.compiler.quantize import quantize
from vle.sim import Network


def compile_model(
    model: str | Path | Network,
    *,
    calibration: ArrayLike | None = None,
    input_range: tuple[ArrayLike, ArrayLike] | None = None,
    lanes: int | None = None,
    board: str | None = None,
    weight_bits: int = 16,
    rate_bits: int = 16,
    potential_bits: int = 24,
) -> Design:
    """Compile a network to integers and a plan of its circuit."""
    network = model if isinstance(model, Network) else Network.load(model)
    widths = Widths(weight=weight_bits, rate=rate_bits, potential=potential_bits)
    known = calibrate(network, calibration, input_range)
    quantized = quantize(network, known.ranges, widths, known.moments)
    return Design(network, quantized.network, {"notes": [*known.notes, *quantized.notes]})
