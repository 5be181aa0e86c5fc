"""How many bits the constants of a network's neurons need."""

from __future__ import annotations

import numpy as np

from vle.compiler.quantization.formats import finest_shift
from vle.compiler.quantization.layer import CONSTANT_NOTED
from vle.sim import Network


def constants_hold(network: Network, bits: int) -> bool:
    """Whether `alpha` and `rho` of all layers, in so many bits, are near enough not to be noted."""
    for layer in network.layers:
        for value in (network.dt / layer.tau_m, layer.tau_r / layer.tau_m):
            shift = min(finest_shift(float(np.max(value)), bits), 62)
            words = np.floor(np.ldexp(value, shift) + 0.5)
            if np.max(np.abs(np.ldexp(words, -shift) / value - 1)) > CONSTANT_NOTED:
                return False
    return True
