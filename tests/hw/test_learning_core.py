"""Whole networks that learn, on Verilator, against the integer model: every word of every step."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from conftest import SEED, SOAK
from learning_in_simulation import Course, LearningChip

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.learning.spec import MOST_GROUPS


def chip_of(seed: int, sizes: list[int], engines, **options) -> ChipSpec:
    """A random network that learns, on given engines."""
    chip = random_chips.learning_chip(np.random.default_rng(seed), sizes, **options)
    folding = Folding(tuple(EngineSpec(*engine) for engine in engines))
    return ChipSpec(chip.network, folding, chip.learning)


def words(seed: int, chip: ChipSpec, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and targets."""
    rng = np.random.default_rng(seed)
    frames = random_chips.frames(rng, chip.network, steps)
    return frames, random_chips.targets(rng, chip.learning, steps)


def frame_times(simulated: LearningChip, course: Course) -> list[int]:
    """Run a course; return when each output frame was complete, from the first input word on."""
    taken = simulated.run(course)
    size = simulated.chip.network.layers[-1].outputs
    return (taken.cycles[size - 1 :: size] - simulated.last_sent.cycles[0]).astype(int).tolist()


CHIPS = {
    "one engine": ([3, 6, 5, 2], [(2, 4, (0, 1, 2))], {"recurrent": (0, 1)}),
    "engine per layer, paces": (
        [3, 5, 4],
        [(2, 3, (0,)), (1, 4, (1,))],
        {"recurrent": (0,), "loss": "cross_entropy", "paces": True},
    ),
    "mixed, filtered": (
        [3, 5, 4, 2],
        [(2, 3, (0, 2)), (3, 2, (1,))],
        {"recurrent": (1,), "loop": False, "plasticity": "filtered"},
    ),
}


@pytest.mark.parametrize("name", CHIPS)
def test_every_word_and_every_cycle(name):
    """Without pauses, in the clocks that the timing says; then steps of all kinds, and pauses.

    Then a reset that keeps what was learned; then its state goes on in another chip.
    """
    sizes, engines, options = CHIPS[name]
    chip = chip_of(len(name), sizes, engines, **options)
    simulated, rng = LearningChip(chip), np.random.default_rng(2)
    frames, targets = words(1, chip, 40)
    assert frame_times(simulated, Course.plain(frames, targets)) == (
        timing.timing(chip).output_times(len(frames))
    )
    simulated.run(Course.random(rng, frames, targets))
    simulated.run(Course.random(rng, frames, targets), gaps=0.3, stalls=0.3)
    simulated.clear()
    fresh = Course.random(rng, frames, targets)
    fresh.start[0] = True
    simulated.run(fresh)
    other = LearningChip(chip)
    simulated.copy_to(other)
    for each in (simulated, other):
        each.run(Course.random(np.random.default_rng(3), frames, targets))
    simulated.close()
    other.close()


@pytest.mark.skipif(not SOAK, reason="each chip takes a minute to build; VLE_SOAK=1 does it")
@pytest.mark.parametrize("case", range(12))
def test_random_chips_learn(case):
    """Any structure, formats and folding, by any rule."""
    rng = np.random.default_rng([SEED, case])
    sizes = rng.integers(1, 9, rng.integers(2, 5)).tolist()
    recurrent = tuple(np.flatnonzero(rng.random(len(sizes) - 1) < 0.5).tolist())
    plasticity = ("prospective", "filtered")[case % 2]
    paces = case % 3 == 0 and (plasticity == "prospective" or max(sizes[1:]) <= MOST_GROUPS)
    options = {"plasticity": plasticity, "paces": paces, "loop": bool(rng.integers(2))}
    options["loss"] = ("squared_error", "cross_entropy")[int(rng.integers(2))]
    chip = random_chips.learning_chip(rng, sizes, recurrent=recurrent, **options)
    simulated = LearningChip(chip, seed=case + 1)
    frames, targets = words(case, chip, 200)
    assert frame_times(simulated, Course.plain(frames, targets)) == (
        timing.timing(chip).output_times(len(frames))
    )
    for pauses in (0.0, 0.1, 0.5):
        simulated.run(Course.random(rng, frames, targets), gaps=pauses, stalls=pauses)
    simulated.close()


@pytest.mark.skipif(not SOAK, reason="takes minutes; VLE_SOAK=1 does it")
@pytest.mark.parametrize("name", CHIPS)
def test_twenty_thousand_steps(name):
    """7,000 steps of each chip, with pauses; all that it holds compared after each hundred."""
    sizes, engines, options = CHIPS[name]
    chip = chip_of(len(name) + SEED, sizes, engines, **options)
    simulated, rng = LearningChip(chip, optimise="-O2"), np.random.default_rng(SEED)
    for part in range(70):
        frames, targets = words(part, chip, 100)
        pauses = float(rng.choice([0.0, 0.1, 0.5]))
        simulated.run(Course.random(rng, frames, targets), gaps=pauses, stalls=pauses)
    simulated.close()
