"""Random networks, formats, foldings, parameters and rhythms: the chip equals the integer model."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from chip_in_simulation import ChipInSimulation
from conftest import SEED, SOAK
from hypothesis import given, settings
from hypothesis import strategies as st

# What the chips of `make test` are sure to have; those of a soak are drawn anew each time.
SURE = (
    {"weight_width": 8},
    {"rate_width": 24, "u_width": 32},
    {"rate_width": (6, 20, 16), "u_width": (20, 32, 24), "weight_width": (2, 16, 8)},
    {"scale_width": (4, 16), "constant_width": (8, 18), "weight_width": (8, 5)},
    {},
)
CHIPS, CASES = (300, 60) if SOAK else (len(SURE), 8)
WIDTHS = {
    "rate_width": (6, 12, 16, 20, 24),
    "u_width": (20, 24, 32),
    "weight_width": (2, 5, 8, 16),
    "scale_width": (4, 16),
    "constant_width": (8, 18),
}
chances = st.sampled_from((0.0, 0.1, 0.6))


def random_chip(seed: int, sure: dict[str, int | tuple[int, ...]]):
    """Anything from a single neuron to four layers, of any widths, on any engines."""
    rng = np.random.default_rng(seed)
    layers = max([len(w) for w in sure.values() if isinstance(w, tuple)] or [rng.integers(1, 5)])
    sizes = [int(size) for size in rng.integers(1, 13, layers + 1)]
    widths = {name: tuple(map(int, rng.choice(w, layers))) for name, w in WIDTHS.items()}
    recurrent = tuple(int(index) for index in np.flatnonzero(rng.random(layers) < 0.4))
    return random_chips.chip(rng, sizes, recurrent=recurrent, **{**widths, **sure})


@pytest.mark.parametrize("index", range(CHIPS))
def test_chip_equals_integer_model(index):
    seed = SEED + index  # a run with VLE_SEED=seed has this chip first
    chip = random_chip(seed, {} if SOAK else SURE[index])
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
