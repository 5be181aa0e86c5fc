"""Plans: within their lanes, as fast as promised, and the proofs of the sums on them."""

import re
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from nets import random_network
from random_specs import random_spec

from vle.compiler import compile_model
from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.link import LinkSpec
from vle.compiler.planning.beside import BESIDE
from vle.compiler.planning.boards import BOARDS, DESCRIPTIONS
from vle.compiler.planning.candidates import MOST, candidates
from vle.compiler.planning.choices import choose
from vle.compiler.planning.mapping import FAMILIES, blocks_of
from vle.compiler.planning.plan import plan
from vle.compiler.planning.resources import fit
from vle.compiler.quantization.proof import AccumulatorProof, prove
from vle.compiler.quantization.ranges import Range
from vle.errors import CompileError
from vle.sim import Layer, Network

WIDE = [40, 60, 30]  # too many weights of 16 bits for the blocks of the smallest board


def mlp(sizes, **options):
    rng = np.random.default_rng(0)
    network = random_network(rng, sizes, activation="relu", instantaneous=True)
    return compile_model(network, input_range=(-1, 1), **options)


@settings(max_examples=runs(40))
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=5),
    st.integers(1, 90),
    st.integers(0, 2**32 - 1),
)
def test_any_number_of_lanes_is_kept_to(sizes, lanes, seed):
    spec = random_spec(np.random.default_rng(seed), sizes)
    folding = plan(spec, lanes=lanes)
    assert folding.lanes <= lanes
    whole = Folding((EngineSpec(1, 1, tuple(range(len(spec.layers)))),))
    cycles = timing.steady_cycles(ChipSpec(spec, folding))
    assert cycles <= timing.steady_cycles(ChipSpec(spec, whole))


def test_a_plan_that_is_to_be_built_soon_stays_below_its_tables():
    board = BOARDS["ulx3s-85f"]
    full, soon = (mlp(WIDE, board=board, luts=luts) for luts in (None, 8000))
    assert 1 < soon.chip.folding.lanes < full.chip.folding.lanes
    assert soon.report["board"]["luts"] == board.luts
    assert fit(soon.chip, replace(board, luts=8000)).fits
    need = fit(soon.chip, board).luts[0]
    assert any(f"{need} look-up tables" in note for note in soon.report["notes"])


def test_a_plan_that_cannot_stay_below_its_tables_takes_few_more():
    """Twice as many, and so on: not as many as there are."""
    board = BOARDS["ulx3s-85f"]
    few, more, full = (mlp(WIDE, board=board, luts=luts) for luts in (1000, 8000, None))
    assert few.chip.folding.lanes <= more.chip.folding.lanes < full.chip.folding.lanes
    assert fit(few.chip, board).luts[0] > 1000
    assert any("to be built soon" in note for note in few.report["notes"])


def test_so_many_lanes_in_fewer_tables():
    """Fewer engines, or of another shape, where the fastest plan does not stay below."""
    board, sizes = BOARDS["ulx3s-85f"], [1, *[53] * 6, 10]
    fast, small = (mlp(sizes, board=board, lanes=48, luts=luts) for luts in (None, 10000))
    assert fit(fast.chip, board).luts[0] > 10000
    assert small.chip.folding.lanes > 40
    assert fit(small.chip, replace(board, luts=10000)).fits


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 6, 9])
def test_small_plans_are_the_best_there_are(lanes):
    """Against every folding of two layers that fits the lanes."""
    spec = random_spec(np.random.default_rng(1), [4, 6, 3], recurrent=False)
    sizes = range(1, lanes + 1)
    shapes = [(pe, simd) for pe, simd in product(sizes, sizes) if pe * simd <= lanes]
    foldings = [Folding((EngineSpec(pe, simd, (0, 1)),)) for pe, simd in shapes]
    foldings += [
        Folding((EngineSpec(*a, (0,)), EngineSpec(*b, (1,))))
        for a, b in product(shapes, shapes)
        if a[0] * a[1] + b[0] * b[1] <= lanes
    ]
    best = min(timing.steady_cycles(ChipSpec(spec, folding)) for folding in foldings)
    assert timing.steady_cycles(ChipSpec(spec, plan(spec, lanes=lanes))) <= 1.05 * best


@pytest.mark.parametrize(("lanes", "most"), [(8, 1000), (64, 140)])
def test_the_mlp_of_the_comparison_takes_no_more_than_promised(lanes, most):
    design = mlp([40, 64, 64, 10], lanes=lanes, weight_bits=8)
    assert design.cycles_per_step <= most
    assert design.folding.lanes <= lanes
    macs = sum(a * b for a, b in pairwise([40, 64, 64, 10]))
    assert design.cycles_per_step <= 1.1 * macs / lanes + 10


@pytest.mark.parametrize("board", BOARDS)
def test_boards_are_filled_but_not_overfilled(board):
    design = mlp([16, 24, 10], board=board, weight_bits=8)
    assert fit(design.chip, BOARDS[board]).fits
    assert design.report["board"]["needed"]["multipliers"][0] <= BOARDS[board].multipliers


def test_what_does_not_fit_says_by_how_much_and_what_would():
    """Each way that is named works, and the next best does not."""
    small = replace(BOARDS["icebreaker"], sprams=0)
    with pytest.raises(
        CompileError, match="does not fit icebreaker: even one lane needs"
    ) as caught:
        mlp(WIDE, board=small)
    said = caught.value.message
    assert re.search(r"memory blocks of \d+ \(\d+ too many\)", said)
    bits = int(re.search(r"(\d+)-bit weights or", said)[1])
    assert fit(mlp(WIDE, board=small, weight_bits=bits).chip, small).fits
    with pytest.raises(CompileError, match="does not fit"):
        mlp(WIDE, board=small, weight_bits=bits + 1)
    board, lanes = re.search(r"the board (\S+) \((\d+) lanes\) would do", said).groups()
    assert mlp(WIDE, board=board).folding.lanes == int(lanes)
    with pytest.raises(CompileError, match="only a smaller network would do"):
        mlp([520, 480, 10], board="icebreaker")


def test_weights_lie_in_large_memories_where_blocks_do_not_do():
    board = BOARDS["icebreaker"]
    few = mlp([16, 24, 10], board=board, lanes=4, weight_bits=8).chip
    many = mlp(WIDE, board=board).chip
    assert not choose(few, board).huge
    assert choose(many, board).huge
    assert 0 < fit(many, board).sprams[0] <= board.sprams
    assert fit(many, board).blocks[0] <= board.blocks
    learns = mlp([60, 60, 2], lanes=1, learning=True).chip
    assert not choose(learns, board).huge, "one port cannot read and write at once"
    assert fit(learns, board).sprams[0] == 0


def test_time_constants_take_as_many_bits_as_a_multiplier_takes_whole_or_as_they_need():
    board, rng = BOARDS["icebreaker"], np.random.default_rng(0)
    for spread, bits in ((1.5, 16), (300.0, 18)):
        weight = rng.normal(size=(4, 3))
        layer = Layer(weight, np.zeros(4), np.geomspace(1, spread, 4), 1.0, "relu")
        made = compile_model(Network((layer,), 0.1), board=board)
        assert [engine.constant_width for engine in made.chip.engines] == [bits]


def test_lanes_have_hard_multipliers_before_neurons():
    """What is left over goes to the products of the most look-up tables."""
    board = BOARDS["icebreaker"]
    lanes = {
        bits: mlp([16, 24, 10], lanes=8, weight_bits=8, rate_bits=bits).chip for bits in (8, 16)
    }
    assert choose(lanes[16], board).logic == {"alpha, rho", "scale"}
    assert choose(lanes[8], board).logic < choose(lanes[16], board).logic
    assert all(fit(chip, board).multipliers[0] <= board.multipliers for chip in lanes.values())


def test_lanes_that_do_not_fit_say_how_many_do():
    with pytest.raises(CompileError, match="20 lanes do not fit icebreaker: they need") as caught:
        mlp([16, 24, 10], board="icebreaker", lanes=20, weight_bits=8)
    lanes = int(re.search(r"; (\d+) lanes or the board", caught.value.message)[1])
    design = mlp([16, 24, 10], board="icebreaker", lanes=lanes, weight_bits=8)
    assert design.folding.lanes == lanes
    assert fit(design.chip, BOARDS["icebreaker"]).fits


def test_a_chip_that_is_too_large_for_learning_is_told_so():
    with pytest.raises(CompileError, match=r"a chip that does not learn or the board \S+"):
        mlp([16, 24, 10], board="icebreaker", learning=True)


@pytest.mark.parametrize("board", BOARDS)
def test_the_memories_of_the_link_are_left_free(board):
    sizes, family = DESCRIPTIONS[board], FAMILIES[BOARDS[board].family]
    chip = mlp([16, 24, 10], lanes=2).chip
    link = LinkSpec.of_chip(chip, payload_max=sizes.payload_max, slots=sizes.slots)
    blocks = sum(blocks_of(width, depth, 1, family) for depth, width in link.memories)
    assert blocks == BESIDE[family.name].blocks


def test_lanes_and_a_board_together_keep_to_both():
    design = mlp([16, 24, 10], board="ulx3s-85f", lanes=5)
    assert design.folding.lanes <= 5


@settings(max_examples=runs(40))
@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_no_order_of_the_worst_input_passes_the_proven_bound(sizes, seed):
    """For every neuron, inputs of the signs that make its sum largest, summed either way round."""
    rng = np.random.default_rng(seed)
    chip = ChipSpec(spec := random_spec(rng, sizes), plan(spec, lanes=4))
    for layer, proof in zip(spec.layers, prove(chip), strict=True):
        ends = np.array([(layer.x_format.low, layer.x_format.high)] * layer.inputs)
        if layer.recurrent:
            own = [(layer.rate_format.low, layer.rate_format.high)] * layer.outputs
            ends = np.concatenate([ends, own])
        for i, row in enumerate(layer.weight):
            for sign in (1, -1):
                worst = np.where(sign * row > 0, ends[:, 1], ends[:, 0])
                partial = np.cumsum(rng.permutation(row * worst))
                assert np.abs(partial).max() <= proof.bounds[i] < 1 << (proof.width - 1)


@settings(max_examples=runs(20))
@given(st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_bounds_are_the_largest_sum_of_all_frames(inputs, seed):
    """Over all choices of ends; a sum misses its bound only where words end one short of it."""
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, [inputs, 3], recurrent=False)
    layer = spec.layers[0]
    (proof,) = prove(ChipSpec(spec, plan(spec, lanes=2)))
    ends = (layer.x_format.low, layer.x_format.high)
    sums = np.array(list(product(ends, repeat=inputs))) @ layer.weight.T
    up, down = (np.maximum(sign * layer.weight, 0).sum(axis=1) for sign in (1, -1))
    assert np.array_equal(np.abs(sums).max(axis=0), proof.bounds - np.minimum(up, down))


def test_a_proof_refuses_an_accumulator_that_is_too_narrow():
    bounds = np.array([3, 1 << 9])
    assert AccumulatorProof("layer 0", 11, bounds, None).slack == 0
    with pytest.raises(ValueError, match="layer 0: accumulators must hold 512, which 10 bits"):
        AccumulatorProof("layer 0", 10, bounds, None)


def test_a_stated_range_proves_more():
    design = mlp([4, 6, 3])
    proofs = prove(design.chip, Range(np.full(4, -0.25), np.full(4, 0.25)))
    assert all((p.reached <= p.bounds).all() for p in proofs)
    assert proofs[0].reached.max() <= 0.26 * proofs[0].bounds.max()
    report = design.report["layers"][0]["proof"]
    assert report["reached"] < report["bound"] < 1 << (report["width"] - 1)


@pytest.mark.parametrize("lanes", [8, 64, 100, 333])
def test_the_exact_timing_judges_few_foldings(lanes):
    spec = mlp([40, 64, 64, 64, 64, 64, 10]).network
    assert 1 <= len(list(candidates(spec, lanes, 0))) <= MOST + 8
