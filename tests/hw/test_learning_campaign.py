"""Learning at length: three networks, three foldings each, every word of over 20,000 steps.

Frames, targets and answers pause at random; every stored word is compared after each 100 steps.
"""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from conftest import SOAK
from learning_in_simulation import Course, LearningChip

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding

PARTS, STEPS = 24, 100
NETWORKS = {
    "deep": ([6, 16, 12, 10, 5], {"loss": "cross_entropy"}),
    "recurrent": ([8, 20, 4], {"recurrent": (0,)}),
    "filtered, recurrent": ([5, 14, 12, 3], {"recurrent": (1,), "plasticity": "filtered"}),
}
FOLDINGS = ("one engine", "one per layer", "two")


def engines(folding: str, layers: int) -> Folding:
    """Engines of different sizes."""
    everything = tuple(range(layers))
    found = {
        "one engine": [(4, 3, everything)],
        "one per layer": [(k % 3 + 1, 4 - k % 3, (k,)) for k in everything],
        "two": [(2, 5, everything[::2]), (3, 2, everything[1::2])],
    }[folding]
    return Folding(tuple(EngineSpec(*engine) for engine in found))


@pytest.mark.skipif(not SOAK, reason="each chip takes a minute to build; VLE_SOAK=1 does it")
@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_word_of_2400_steps(name, folding):
    sizes, options = NETWORKS[name]
    chip = random_chips.learning_chip(np.random.default_rng(len(name)), sizes, **options)
    chip = ChipSpec(chip.network, engines(folding, len(sizes) - 1), chip.learning)
    rng = np.random.default_rng(FOLDINGS.index(folding))
    simulated = LearningChip(chip, seed=len(folding))
    for part in range(PARTS):
        frames = random_chips.frames(rng, chip.network, STEPS)
        targets = random_chips.targets(rng, chip.learning, STEPS)
        pause = (0.0, 0.2, 0.5)[part % 3]
        simulated.run(Course.random(rng, frames, targets), gaps=pause, stalls=0.5 - pause)
    simulated.close()
