"""Numbers that no chip is for: refused by name before arithmetic overflows on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vle.compiler.quantization.ranges import LayerRanges
from vle.errors import CompileError
from vle.sim import Layer, Network

BITS = 64  # signals and parameters are within 2**BITS, and signals that are not 0 reach 2**-BITS


def refuse_parameters(network: Network) -> None:
    """Refuse weights, biases and constants of activations beyond `2**BITS`."""
    for index, layer in enumerate(network.layers):
        for what, magnitude in _parameters(layer):
            if magnitude > 2.0**BITS:
                raise CompileError(
                    f"layer {index}: {what} must be within +-2**{BITS}, not {magnitude:g}"
                )


def refuse_signals(ranges: tuple[LayerRanges, ...]) -> None:
    """Refuse signals beyond `2**BITS`, and inputs and potentials that do not reach `2**-BITS`."""
    for index, layer in enumerate(ranges):
        potential = max(layer.current.magnitude, layer.u.magnitude, layer.prosp.magnitude)
        signals = (("inputs", layer.x.magnitude), ("potentials", potential))
        for what, magnitude in (*signals, ("rates", layer.r.magnitude)):
            if not magnitude <= 2.0**BITS:
                raise CompileError(
                    f"layer {index}: {what} must stay within +-2**{BITS}, not reach {magnitude:g}"
                )
        for what, magnitude in signals:
            if 0 < magnitude < 2.0**-BITS:
                raise CompileError(
                    f"layer {index}: {what} must reach 2**-{BITS} or be 0, not {magnitude:g} "
                    f"at most"
                )


def _parameters(layer: Layer) -> Iterator[tuple[str, float]]:
    yield "weights", float(np.abs(layer.weight).max())
    if layer.recurrent is not None:
        yield "recurrent weights", float(np.abs(layer.recurrent).max())
    yield "biases", float(np.abs(layer.bias).max())
    phi = layer.activation
    yield f"constants of {phi.name}", max(abs(phi.alpha or 0.0), abs(phi.beta or 0.0))
