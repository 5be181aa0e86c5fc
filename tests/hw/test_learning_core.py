"""Whole networks that learn, on Verilator, against the integer model: every word of every step."""

from __future__ import annotations

import numpy as np
import pytest
import random_chips
from learning_in_simulation import Course, LearningChip

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding


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
    "one engine, recurrent": ([3, 6, 5, 2], [(2, 4, (0, 1, 2))], {"recurrent": (0, 1)}),
    "engine per layer": ([3, 5, 4, 2], [(2, 3, (0,)), (1, 4, (1,)), (3, 2, (2,))], {}),
    "mixed, no loop of errors": (
        [4, 7, 3],
        [(3, 3, (0, 1))],
        {"recurrent": (1,), "loop": False},
    ),
}


@pytest.mark.parametrize("name", CHIPS)
def test_every_word_and_every_cycle(name):
    """Without pauses, in the clocks that the timing says; then steps of all kinds, and pauses."""
    sizes, engines, options = CHIPS[name]
    chip = chip_of(len(name), sizes, engines, **options)
    simulated = LearningChip(chip)
    frames, targets = words(1, chip, 40)
    assert frame_times(simulated, Course.plain(frames, targets)) == (
        timing.timing(chip).output_times(len(frames))
    )
    rng = np.random.default_rng(2)
    simulated.run(Course.random(rng, frames, targets))
    simulated.run(Course.random(rng, frames, targets), gaps=0.3, stalls=0.3)
    simulated.close()
