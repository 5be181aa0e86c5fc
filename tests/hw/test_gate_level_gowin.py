"""Netlists of Gowin cells against the integer model: every state word of every step."""

import gowin_models
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

BOARD = BOARDS["tang-nano-20k"]
BLOCKS = ("SDPB", "SDPX9B", "DPB", "DPX9B")


def one(sizes, pe, simd, *, seed=1, **options):
    """One engine for all layers."""
    network = random_chips.network(np.random.default_rng(seed), sizes, **options)
    return ChipSpec(network, Folding((EngineSpec(pe, simd, tuple(range(len(sizes) - 1))),)))


LONG = {
    "recurrent": one([7, 9, 4], 2, 3, recurrent=(0,)),
    "lanes cut by bytes": one([33, 16, 8], 2, 3, seed=3, weight_width=12),
    "blocks of 18 bits": one([64, 13, 4], 1, 1, seed=5),
    "blocks of 9 bits": one([64, 28, 4], 1, 1, seed=6, weight_width=8),
    "rows of blocks": one([90, 32, 4], 1, 2, seed=7),
    "blocks of 4 bits": one([100, 40, 4], 1, 1, seed=8, weight_width=4),
    "blocks of 2 bits": one([150, 50, 4], 1, 1, seed=9, weight_width=2),
    "frames in blocks": one([200, 40, 6], 1, 4, seed=10, recurrent=(0,)),
}


def assert_equal_to_model(chip, steps):
    """From power-up, and after the host has loaded other parameters, lane by lane."""
    text, rng = gates(chip, BOARD), np.random.default_rng(1)
    netlist, need = text[: text.index("module LUT4")], fit(chip, BOARD)
    assert cell_count(netlist, "MULT18X18") == need.multipliers[0] > 0
    assert sum(cell_count(netlist, kind) for kind in BLOCKS) == need.blocks[0] > 0
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
    narrow = {"rate_width": 8, "u_width": 16, "weight_width": 8}
    assert_equal_to_model(one([13, 12, 3], 1, 2, seed=2, **narrow), steps=200)


@pytest.mark.skipif(not SOAK, reason="each netlist takes a minute; VLE_SOAK=1 does it")
@pytest.mark.parametrize("name", LONG)
def test_more_netlists_are_equal_to_the_model(name):
    assert_equal_to_model(LONG[name], steps=2000)


@pytest.mark.skipif(not SOAK, reason="a netlist that learns takes minutes; VLE_SOAK=1 does it")
def test_a_netlist_that_learns_is_equal_to_the_model():
    rng = np.random.default_rng(3)
    chip = random_chips.learning_chip(rng, [5, 8, 4], recurrent=(0,))
    simulated = LearningChip(chip, text=gates(chip, BOARD), optimise="-O0")
    try:
        for _ in range(5):
            frames = random_chips.frames(rng, chip.network, 200)
            targets = random_chips.targets(rng, chip.learning, 200)
            simulated.run(Course.random(rng, frames, targets), gaps=0.2, stalls=0.2)
    finally:
        simulated.close()


REFUSED = {
    "MULT18X18 #(.ASIGN_REG(1))": "registers_of_signs",
    "SDPB #(.BIT_WIDTH_1(3))": "no_such_width",
    "SDPX9B #(.BLK_SEL_0(1))": "another_reset_or_select",
    "DPX9B #(.BIT_WIDTH_0(36))": "no_such_width",
}


@pytest.mark.parametrize("cell", REFUSED)
def test_models_refuse_what_they_do_not_know(cell):
    text = f"module top(input clk); {cell} cell_(); endmodule\n" + gowin_models.models()
    with pytest.raises(TransportError, match=REFUSED[cell]):
        build.library(text)
