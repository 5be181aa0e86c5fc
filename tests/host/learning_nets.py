"""Small networks that learn, their designs and signals."""

from __future__ import annotations

import numpy as np

from vle.compiler import Design, compile_model
from vle.compiler.quantization.learning import LearningOptions
from vle.sim import Layer, Network

DT = 0.2


def network(*, loss="squared_error", plasticity="prospective", recurrent=True, aligned=False):
    """2-5-4-3: a recurrent layer, a slow one, a straight one."""
    rng = np.random.default_rng(7)

    def layer(inputs, outputs, taus, activation, own=None):
        weight = rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs))
        return Layer(weight, rng.normal(0, 0.1, outputs), *taus, activation, own)

    own = rng.normal(0, 0.2, (5, 5)) if recurrent else None
    layers = (
        layer(2, 5, (1.2, 0.6), "tanh", own),
        layer(5, 4, (0.8, 0.8), "relu"),
        layer(4, 3, (1.2, 0.9), "identity"),
    )
    return Network(layers, DT, loss=loss, plasticity=plasticity, aligned=aligned)


def small_network(*, loss="cross_entropy"):
    """2-4-3: little to build."""
    rng = np.random.default_rng(9)
    layers = (
        Layer(
            rng.normal(0, 0.7, (4, 2)),
            rng.normal(0, 0.1, 4),
            *(1.2, 0.6),
            "relu",
            rng.normal(0, 0.2, (4, 4)),
        ),
        Layer(rng.normal(0, 0.5, (3, 4)), np.zeros(3), *(0.8, 0.9), "identity"),
    )
    return Network(layers, DT, loss=loss, aligned=True)


def still_network(loss="cross_entropy"):
    """2-6-3, all layers instantaneous: frames are held."""
    rng = np.random.default_rng(8)
    one = np.ones
    layers = (
        Layer(rng.normal(0, 1, (6, 2)), np.zeros(6), one(6), one(6), "tanh"),
        Layer(rng.normal(0, 0.5, (3, 6)), np.zeros(3), one(3), one(3), "identity"),
    )
    return Network(layers, 1.0, loss=loss)


def design(net: Network, lanes: int = 6, **options) -> Design:
    return compile_model(
        net, calibration=signal(200)[0], lanes=lanes, learning=LearningOptions(**options)
    )


def signal(steps: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Sines in, other sines asked for, with gaps."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None] * DT
    x = np.sin(t * rng.uniform(0.1, 0.5, 2) + rng.uniform(0, 6, 2))
    y = 0.5 * np.sin(t * rng.uniform(0.1, 0.3, 3))
    y[rng.random(steps) < 0.2] = np.nan
    return x, y


def classes(steps: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 3, steps)
