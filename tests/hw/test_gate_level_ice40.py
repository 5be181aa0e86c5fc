"""Netlists of iCE40 cells against the integer model: every state word of every step."""

import os

import numpy as np
import pytest
import random_chips
from chip_in_simulation import ChipInSimulation
from gate_level import cell_count, gates

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.planning.boards import BOARDS
from vle.compiler.planning.choices import Choices, choose, hard_multipliers, huge_layouts
from vle.compiler.planning.mapping import family_named
from vle.compiler.planning.resources import resources

BOARD = BOARDS["icebreaker"]
SOAK = bool(os.environ.get("VLE_SOAK"))
NARROW = {"rate_width": 8, "u_width": 16, "weight_width": 8}


def chip_of(sizes, pe, simd, *, seed=1, **options):
    """One engine for all layers."""
    network = random_chips.network(np.random.default_rng(seed), sizes, **options)
    return ChipSpec(network, Folding((EngineSpec(pe, simd, tuple(range(len(sizes) - 1))),)))


SMALL = chip_of([9, 7], 1, 5, seed=2, recurrent=(0,), **NARROW), Choices(huge=True)
LONG = {
    "two products in a multiplier": (chip_of([7, 9, 4], 1, 5, recurrent=(0,), **NARROW), None),
    "weights in large memories": (chip_of([20, 9, 5], 2, 3, seed=2), Choices(huge=True)),
    "rows of blocks": (chip_of([64, 16, 4], 1, 2, seed=3), None),
    "half-word blocks": (chip_of([33, 16, 8], 2, 2, seed=4), None),
    "quarter-word blocks": (chip_of([64, 10, 4], 1, 1, seed=5, weight_width=8), None),
    "deep blocks": (chip_of([64, 20, 4], 1, 1, seed=6, weight_width=2), None),
    "neurons in logic": (chip_of([9, 8, 3], 2, 4, seed=7, recurrent=(1,)), None),
    "many lanes": (chip_of([30, 20, 10], 4, 3, seed=8, **NARROW), Choices(huge=True)),
    "all in large memories": (chip_of([200, 100, 9], 2, 2, seed=9), Choices(huge=True)),
}


def assert_equal_to_model(chip, choices, steps):
    """Cells as planned; then every output and every state word, with pauses on both streams."""
    choices = choices or choose(chip, BOARD)
    text, rng = gates(chip, BOARD, choices), np.random.default_rng(1)
    assert cells(text) == planned(chip, choices)
    simulated = ChipInSimulation(chip, text=text, optimise="-O0")
    try:
        if choices.huge:  # these hold nothing at power-up
            simulated.load(chip.network)
        frames = random_chips.frames(rng, chip.network, steps)
        simulated.compare(frames, rng.random(steps) < 0.2, gaps=0.2, stalls=0.2)
        other = random_chips.other_parameters(rng, chip.network)
        simulated.load(other)
        simulated.compare(frames)
    finally:
        simulated.close()


def cells(text):
    return [cell_count(text, f"SB_{kind}") for kind in ("MAC16", "RAM40_4K", "SPRAM256KA")]


def planned(chip, choices):
    family, need = family_named(BOARD.family), resources(chip)
    blocks = (n.blocks(family) for n in need.memories if not choices.huge or n.kind != "weights")
    return [
        sum(hard_multipliers(product, family, choices) for product in need.products),
        sum(blocks),
        huge_layouts(need.memories, family) * choices.huge,
    ]


def test_a_netlist_is_equal_to_the_model():
    assert_equal_to_model(*SMALL, steps=40)


@pytest.mark.skipif(not SOAK, reason="each netlist takes half a minute; VLE_SOAK=1 does it")
@pytest.mark.parametrize("name", LONG)
def test_more_netlists_are_equal_to_the_model(name):
    assert_equal_to_model(*LONG[name], steps=100)
