"""The tops under test: three foldings of one network, and the shapes that break circuits."""

from __future__ import annotations

import numpy as np
import random_chips

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding


def _chip(seed: int, sizes: list[int], *engines: tuple, **options) -> ChipSpec:
    network = random_chips.network(np.random.default_rng(seed), sizes, **options)
    return ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))


def _learner(seed: int, sizes: list[int], *engines: tuple, **options) -> ChipSpec:
    """A random network that learns, on given engines."""
    chip = random_chips.learning_chip(np.random.default_rng(seed), sizes, **options)
    folding = Folding(tuple(EngineSpec(*engine) for engine in engines))
    return ChipSpec(chip.network, folding, chip.learning)


LEARNERS = {"learns": lambda: _learner(7, [2, 4, 3], (2, 3, (0, 1)), recurrent=(0,))}

LINES = {
    # a line that is busy one way: its chips are faster than any line
    "talks": lambda: _chip(3, [1, 10], (1, 1, (0,))),
    "listens": lambda: _chip(4, [40, 10], (1, 1, (0,))),
}

TOPS = {
    # one network with a recurrent layer, at three foldings
    "one-lane": lambda: _chip(1, [3, 7, 5, 4], (1, 1, (0, 1, 2)), recurrent=(1,)),
    "shared": lambda: _chip(1, [3, 7, 5, 4], (3, 2, (2, 0)), (2, 5, (1,)), recurrent=(1,)),
    "apart": lambda: _chip(
        1, [3, 7, 5, 4], (4, 3, (0,)), (5, 3, (1,)), (1, 4, (2,)), recurrent=(1,)
    ),
    # 1 input, 1 neuron in the middle, more lanes than synapses, two recurrent layers
    "small": lambda: _chip(2, [1, 3, 1, 2], (2, 3, (1, 0)), (4, 4, (2,)), recurrent=(0, 2)),
}
