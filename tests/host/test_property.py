"""Random networks, formats, foldings, parameters and rhythms: the chip equals the integer model."""

from __future__ import annotations

import os

import numpy as np
import pytest
import random_chips
from chip_in_simulation import ChipInSimulation
from hypothesis import given, settings
from hypothesis import strategies as st

CHIPS = 150 if os.environ.get("VLE_SOAK") else 5
CASES = 60 if os.environ.get("VLE_SOAK") else 8
chances = st.sampled_from((0.0, 0.1, 0.6))


def random_chip(seed: int):
    """Anything from a single neuron to four layers, of any widths, on any engines."""
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 5))
    sizes = [int(size) for size in rng.integers(1, 13, layers + 1)]
    widths = {
        "rate_width": int(rng.choice((6, 12, 16, 20))),
        "u_width": int(rng.choice((20, 24, 32))),
        "weight_width": int(rng.choice((2, 5, 8, 16))),
        "scale_width": int(rng.choice((4, 16))),
        "constant_width": int(rng.choice((8, 18))),
    }
    recurrent = tuple(int(index) for index in np.flatnonzero(rng.random(layers) < 0.4))
    return random_chips.chip(rng, sizes, recurrent=recurrent, **widths)


@pytest.mark.parametrize("seed", range(CHIPS))
def test_chip_equals_integer_model(seed):
    chip = random_chip(seed)
    print("seed", seed, chip.folding)
    simulated = ChipInSimulation(chip, seed=seed, optimise="-O0")

    @settings(max_examples=CASES)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 40), chances, chances, chances)
    def check(case, steps, gaps, stalls, starts):
        rng = np.random.default_rng(case)
        if rng.integers(2):
            simulated.load(random_chips.other_parameters(rng, chip.network))
        frames = random_chips.frames(rng, chip.network, steps)
        start = rng.random(steps) < starts
        want, _ = simulated.compare(frames, start, gaps=gaps, stalls=stalls)
        more = random_chips.frames(rng, chip.network, 3)
        simulated.compare(more, gaps=stalls, stalls=gaps, state=want.state)

    try:
        check()
    finally:
        simulated.close()
