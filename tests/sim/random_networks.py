"""Random networks, signals and targets for the tests of `vle.sim`."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from vle.sim import Activation, Layer, Network
from vle.sim.activations import NAMES

DT = 0.1
SMOOTH = ("identity", "tanh", "sigmoid", "softplus")


def random_network(
    seed, widths=(3, 5, 4, 2), recurrent=(1,), activations=NAMES, backward=False, **settings
):
    rng = np.random.default_rng(seed)
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(
            Layer(
                rng.normal(0, 1.2 / np.sqrt(inputs), (outputs, inputs)),
                rng.normal(0, 0.3, outputs),
                rng.uniform(DT, 12 * DT, outputs),
                rng.uniform(DT, 12 * DT, outputs),
                Activation(str(rng.choice(activations))),
                rng.normal(0, 0.5 / np.sqrt(outputs), (outputs, outputs))
                if index in recurrent
                else None,
                rng.normal(0, 0.5, (inputs, outputs)) if backward else None,
            )
        )
    return Network(layers, settings.pop("dt", DT), **settings)


def random_data(network, seed, steps=20, batch=(3,)):
    """Return a signal, and targets of which some are absent."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, *batch, network.inputs))
    if network.loss == "cross_entropy":
        return x, rng.integers(-1, network.outputs, (steps, *batch))
    y = rng.normal(size=(steps, *batch, network.outputs))
    y[rng.random(y.shape) < 0.1] = np.nan
    return x, y


@st.composite
def networks(draw, **fixed):
    """Draw a network of 1 to 3 layers, some of them recurrent, with any activation and loss."""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    recurrent = tuple(k for k in range(len(widths) - 1) if draw(st.booleans()))
    loss = draw(st.sampled_from(["squared_error", "cross_entropy"]))
    settings = {"loss": loss, "beta": draw(st.sampled_from([0.5, 1.0])), **fixed}
    return random_network(draw(st.integers(0, 2**31)), tuple(widths), recurrent, **settings)
