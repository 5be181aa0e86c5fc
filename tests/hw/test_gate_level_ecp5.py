"""Netlists of ECP5 cells against the integer model: every state word of every step."""

import ecp5_models
import numpy as np
import pytest
import random_chips
from chip_in_simulation import ChipInSimulation
from conftest import SOAK
from gate_level import cell_count, gates
from learning_in_simulation import Course, LearningChip

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.planning.boards import BOARDS
from vle.compiler.planning.resources import fit
from vle.errors import TransportError
from vle.host import build

BOARD = BOARDS["ulx3s-85f"]
NARROW = {"rate_width": 8, "u_width": 16, "weight_width": 8}


def chip_of(sizes, engines, *, seed=1, **options):
    """Layers of random parameters; engines of `(pe, simd, layers)`."""
    network = random_chips.network(np.random.default_rng(seed), sizes, **options)
    return ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))


def one(sizes, pe, simd, **options):
    """One engine for all layers."""
    return chip_of(sizes, [(pe, simd, tuple(range(len(sizes) - 1)))], **options)


LONG = {
    "recurrent": one([7, 9, 4], 2, 3, recurrent=(0,)),
    "lanes cut by bytes": one([33, 16, 8], 2, 3, seed=3, weight_width=12),
    "three engines": chip_of(
        [9, 14, 12, 5], [(2, 3, (0,)), (1, 5, (1,)), (3, 2, (2,))], seed=4, recurrent=(1,)
    ),
    "blocks of 18 bits": one([64, 13, 4], 1, 1, seed=5),
    "blocks of 9 bits": one([64, 28, 4], 1, 1, seed=6, weight_width=8),
    "rows of blocks": one([90, 32, 4], 1, 2, seed=7),
    "blocks of 4 bits": one([100, 40, 4], 1, 1, seed=8, weight_width=4),
    "blocks of 2 bits": one([150, 50, 4], 1, 1, seed=9, weight_width=2),
    "frames in blocks": one([200, 40, 6], 1, 4, seed=10, recurrent=(0,)),
    "wide words": one([12, 9, 4], 2, 2, seed=11, rate_width=18, u_width=32),
}
LEARNING = {
    "squared error": ([5, 8, 4], {"recurrent": (0,)}),
    "cross entropy": ([6, 9, 5], {"loss": "cross_entropy"}),
    "filtered": ([4, 7, 3], {"plasticity": "filtered"}),
}


def assert_equal_to_model(chip, steps):
    """From power-up, and after the host has loaded other parameters, lane by lane."""
    text, rng = gates(chip, BOARD), np.random.default_rng(1)
    netlist, need = text[: text.index("module LUT4")], fit(chip, BOARD)
    assert cell_count(netlist, "MULT18X18D") == need.multipliers[0] > 0
    assert cell_count(netlist, "DP16KD") == need.blocks[0] > 0
    simulated = ChipInSimulation(chip, text=text, optimise="-O0")
    try:
        for other in (None, random_chips.other_parameters(rng, chip.network)):
            if other is not None:
                simulated.load(other)
            frames = random_chips.frames(rng, chip.network, steps)
            simulated.compare(frames, rng.random(steps) < 0.2, gaps=0.2, stalls=0.2)
    finally:
        simulated.close()


def test_a_netlist_is_equal_to_the_model():
    chip = one([13, 12, 3], 1, 2, seed=2, **NARROW)
    assert_equal_to_model(chip, steps=200)


@pytest.mark.skipif(not SOAK, reason="each netlist takes a minute; VLE_SOAK=1 does it")
@pytest.mark.parametrize("name", LONG)
def test_more_netlists_are_equal_to_the_model(name):
    assert_equal_to_model(LONG[name], steps=2000)


@pytest.mark.skipif(not SOAK, reason="each netlist takes minutes; VLE_SOAK=1 does it")
@pytest.mark.parametrize("name", LEARNING)
def test_netlists_that_learn_are_equal_to_the_model(name):
    sizes, options = LEARNING[name]
    rng = np.random.default_rng(len(name))
    chip = random_chips.learning_chip(rng, sizes, **options)
    simulated = LearningChip(chip, text=gates(chip, BOARD), optimise="-O0")
    try:
        for _ in range(5):
            frames = random_chips.frames(rng, chip.network, 200)
            targets = random_chips.targets(rng, chip.learning, 200)
            simulated.run(Course.random(rng, frames, targets), gaps=0.2, stalls=0.2)
    finally:
        simulated.close()


REFUSED = {
    'MULT18X18D #(.REG_OUTPUT_CLK("CLK1"))': "another_clock",
    'MULT18X18D #(.SOURCEB_MODE("C_SHIFT"))': "another_source",
    "DP16KD #(.DATA_WIDTH_A(3))": "no_such_width",
    'DP16KD #(.WRITEMODE_A("WRITETHROUGH"))': "another_mode",
    'DP16KD #(.DATA_WIDTH_A(36), .REGMODE_B("OUTREG"))': "half_a_register",
}


@pytest.mark.parametrize("cell", REFUSED)
def test_models_refuse_what_they_do_not_know(cell):
    text = f"module top(input clk); {cell} cell_(); endmodule\n" + ecp5_models.models()
    with pytest.raises(TransportError, match=REFUSED[cell]):
        build.library(text)
