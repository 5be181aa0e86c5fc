"""Goals instead of bit widths: what is found keeps what was asked for, and says why not."""

import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from nets import random_network, random_signal

from vle.compiler import Goal, compile_model
from vle.compiler.planning.plan import plan
from vle.compiler.planning.resources import resources
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.choice import Choice
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.learning import LearningOptions
from vle.compiler.report.page import html_page
from vle.compiler.search.goal import checked_labels
from vle.compiler.search.judge import Judge, hits, outputs
from vle.compiler.search.path import narrowing
from vle.compiler.search.refine import refined
from vle.compiler.search.search import search
from vle.compiler.search.sensitivity import LADDER, Sensitivity, tries
from vle.errors import CompileError
from vle.sim import Layer, Network


def task(seed=0, sizes=(8, 24, 16, 5), *, scale=1.0, **options):
    rng = np.random.default_rng(seed)
    options = {"activation": "tanh", "instantaneous": True, "aligned": True} | options
    network = random_network(rng, list(sizes), **options)
    return network, scale * random_signal(rng, 120, 4, sizes[0])


def relative(network, design, x):
    real = network.run(x)
    return float(np.sqrt(np.mean((design.run(x) - real) ** 2) / np.mean(real**2)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("most", [0.2, 0.02, 0.002])
def test_an_error_is_kept_and_no_layer_could_do_with_less(seed, most):
    network, x = task(seed)
    design = compile_model(network, calibration=x, goal=Goal(max_error=most), lanes=600)
    error = relative(network, design, x)
    assert error <= most
    found = design.report["search"]
    assert found["reached"]["error"] == pytest.approx(error)
    bits = [spec.weight_width for spec in design.network.layers]
    assert found["weight_bits"] == bits
    assert len(design.folding.engines) == len(bits)  # so that each has a memory of its own
    for layer, _ in enumerate(bits):
        fewer = [b - (i == layer) for i, b in enumerate(bits)]
        assert min(fewer) < 2 or relative(network, compiled(network, x, fewer), x) > most


def compiled(network, x, bits):
    return compile_model(network, calibration=x, weight_bits=bits, lanes=600)


def test_a_mixed_choice_takes_fewer_bits_than_a_uniform_one():
    network, x = task(3, scale=1.0)
    loud = [network.layers[0], network.layers[1], network.layers[2]]
    design = compile_model(
        Network(tuple(loud), 1.0, aligned=True), calibration=x, lanes=600, goal=Goal(max_error=0.02)
    )
    mean = design.report["search"]["mean_bits"]
    uniform = next(b for b in range(2, 17) if relative(network, compiled(network, x, b), x) <= 0.02)
    assert mean < uniform


def test_layers_of_an_engine_share_their_width():
    network, x = task()
    design = compile_model(network, calibration=x, goal=Goal(max_error=0.01), lanes=1)
    assert len(design.folding.engines) == 1
    assert len({spec.weight_width for spec in design.network.layers}) == 1


@pytest.mark.parametrize("mean", [2.0, 3.7, 6.5, 16])
def test_a_budget_of_bits_is_kept_and_used(mean):
    network, x = task()
    design = compile_model(network, calibration=x, goal=Goal(mean_bits=mean), lanes=600)
    sizes = np.array([spec.weight.size for spec in design.network.layers])
    bits = np.array([spec.weight_width for spec in design.network.layers])
    assert (sizes @ bits) / sizes.sum() <= mean
    more = sizes @ bits + sizes[bits < 16].min(initial=10**6)
    assert more / sizes.sum() > mean


def test_a_budget_of_memory_is_kept():
    network, x = task()
    widest, narrowest = (
        compile_model(network, calibration=x, weight_bits=b, lanes=8).report["memory_bits"]
        for b in (16, 2)
    )
    most = (widest + narrowest) // 2
    design = compile_model(network, calibration=x, goal=Goal(max_memory=most), lanes=8)
    assert 0.8 * most <= design.report["memory_bits"] <= most
    assert design.report["memory_bits"] == resources(design.chip).memory_bits
    with pytest.raises(CompileError, match="cannot be met: with 2-bit weights it is still"):
        compile_model(network, calibration=x, goal=Goal(max_memory=narrowest - 1), lanes=8)


def test_a_network_is_made_to_fit_a_board():
    network, x = task(sizes=(16, 260, 200, 4))
    with pytest.raises(CompileError, match="does not fit tang-nano-20k"):
        compile_model(network, calibration=x, board="tang-nano-20k")
    design = compile_model(network, calibration=x, goal=Goal(fit=True), board="tang-nano-20k")
    assert design.report["board"]["needed"]["blocks"][0] <= 46
    assert 4 <= design.report["search"]["mean_bits"] < 16
    assert relative(network, design, x) < 0.1


def test_quality_beyond_the_budget_is_refused():
    network, x = task()
    with pytest.raises(CompileError, match=r"smallest weights of that quality .* beyond the budg"):
        compile_model(network, calibration=x, goal=Goal(max_error=0.001, mean_bits=3))


def labelled(seed=0):
    network, x = task(seed)
    return network, x, network.run(x).sum(axis=0).argmax(axis=-1)


def test_an_accuracy_of_sequences_and_of_frames():
    network, x, _ = labelled()
    real = network.run(x)
    for labels in (real.sum(axis=0).argmax(axis=-1), real.argmax(axis=-1)):
        goal = Goal(target_accuracy=0.9, labels=labels)
        design = compile_model(network, calibration=x, goal=goal, lanes=600)
        assert hits(design.run(x), labels) >= 0.9
        assert design.report["search"]["reached"]["float_accuracy"] == 1.0
    assert design.report["search"]["mean_bits"] < 8
    single = Goal(target_accuracy=0.9, labels=labels[:, 0])
    assert compile_model(network, calibration=x[:, 0], goal=single).report["search"]


def test_what_cannot_be_reached_is_said_with_what_can():
    network, x, labels = labelled()
    with pytest.raises(CompileError, match=r"error at most 1e-09\) cannot be met: 16-bit weights"):
        compile_model(network, calibration=x, goal=Goal(max_error=1e-9))
    wrong = (labels + 1) % 5
    with pytest.raises(CompileError, match=r"reach an accuracy of 0, the float network 0"):
        compile_model(network, calibration=x, goal=Goal(target_accuracy=0.5, labels=wrong))


def test_a_search_is_the_same_every_time():
    network, x = task()
    reports = [
        compile_model(network, calibration=x, goal=Goal(max_error=0.01), lanes=8).report
        for _ in range(2)
    ]
    assert json.dumps(reports[0]) == json.dumps(reports[1])


def test_recurrent_networks_and_networks_without_data():
    network, x = task(recurrent=True, instantaneous=False, aligned=False)
    design = compile_model(network, calibration=x, goal=Goal(max_error=0.03))
    assert relative(network, design, x) <= 0.03
    network, _ = task()
    design = compile_model(network, input_range=(-1, 1), goal=Goal(max_error=0.03))
    assert design.report["search"]["reached"]["error"] <= 0.03


@settings(max_examples=runs(20))
@given(st.integers(0, 2**32 - 1))
def test_the_way_down_takes_the_cheapest_bit_of_all(seed):
    """Against all choices: none with fewer bits has less error, where powers fall by four."""
    rng = np.random.default_rng(seed)
    scale, sizes = rng.uniform(0.01, 1, 3), [6, 6, 6]
    errors = tuple({b: float(s * 2.0**-b) for b in LADDER} for s in scale)
    sensitivity = Sensitivity(0.0, errors)
    path = narrowing(sensitivity, sizes, [(0,), (1,), (2,)], Choice.uniform(16, 3))
    assert len(path) == 3 * 14 + 1
    assert path[-1].weight == (2, 2, 2)

    def power(weight):
        return sum(sensitivity.power(i, b) for i, b in enumerate(weight))

    every = [(a, b, c) for a in range(2, 17) for b in range(2, 17) for c in range(2, 17)]
    for choice in path[:: 1 + int(rng.integers(5))]:
        same = [weight for weight in every if sum(weight) == sum(choice.weight)]
        assert power(choice.weight) <= min(map(power, same)) * (1 + 1e-9)


def test_the_table_tells_the_layer_that_hurts():
    """A layer whose weights hardly matter, below one that all goes through."""
    network, x = task(5)
    design = compile_model(network, calibration=x, weight_bits=[12, 12, 3], sensitivity=True)
    table = design.report["sensitivity"]
    rows = table["layers"]
    assert [row["weight_width"] for row in rows] == [12, 12, 3]
    assert rows[2]["share"] > 0.95
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    alone = relative(network, compiled(network, x, [16, 16, 3]), x)
    assert rows[2]["errors"]["3"] == pytest.approx(alone)
    assert "Which layer hurts" in html_page(design.report)
    assert "Which layer hurts" not in html_page(compiled(network, x, 8).report)


def test_shares_of_the_layers_add_up_to_the_error():
    network, x = task(6, sizes=(8, 30, 30, 30, 5))
    table = compile_model(network, calibration=x, weight_bits=6, sensitivity=True).report
    power = sum(row["adds"] ** 2 for row in table["sensitivity"]["layers"])
    assert np.sqrt(power) == pytest.approx(relative(network, compiled(network, x, 6), x), rel=0.25)


def test_the_judge_sees_what_the_design_answers():
    network, x = task()
    known = calibrate(network, x)
    judge = Judge.of(network, known, Widths())
    for bits in ([16, 16, 16], [3, 9, 5]):
        spec = judge.quantized(Choice(tuple(bits))).network
        design = compiled(network, x, bits)
        assert spec == design.network
        assert np.array_equal(outputs(spec, x, aligned=True), design.run(x))
        assert judge.error(Choice(tuple(bits))) == pytest.approx(relative(network, design, x))


@pytest.mark.parametrize("seed", range(2))
def test_narrow_rates_are_clipped_where_that_lessens_the_error(seed):
    rng = np.random.default_rng(seed)
    sizes = (16, 40, 40, 6)
    network = random_network(rng, list(sizes), activation="relu", instantaneous=True, aligned=True)
    x = rng.laplace(size=(400, 1, 16))
    known = calibrate(network, x)
    judge = Judge.of(network, known, Widths(rate=6))
    plain = Choice.uniform(8, 3)
    choice = refined(judge, plain)
    assert any(choice.finer)
    assert judge.error(choice) < 0.9 * judge.error(plain)
    design = compile_model(network, calibration=x, weight_bits=8, rate_bits=6)
    assert [spec.rate_format.width for spec in design.network.layers] == [6, 6, 6]
    assert any("formats finer, by bits" in note for note in design.report["notes"])
    assert relative(network, design, x) == pytest.approx(judge.error(choice))
    assert refined(Judge.of(network, known, Widths(rate=16)), plain) == plain


def test_one_width_per_layer():
    network, x = task()
    for bits in (7, [7, 7, 7], (9, 2, 16)):
        design = compiled(network, x, bits)
        expected = [bits] * 3 if isinstance(bits, int) else list(bits)
        assert [spec.weight_width for spec in design.network.layers] == expected
    with pytest.raises(CompileError, match="weight bits must be one number or 3, one per layer"):
        compiled(network, x, [8, 8])
    with pytest.raises(CompileError, match=r"weight bits must be in 2\.\.16, not 17"):
        compiled(network, x, [8, 17, 8])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "goal must ask for a quality or set a budget"),
        ({"max_error": 0}, "max_error must be above 0, not 0"),
        ({"max_error": "x"}, "max_error must be a number, not 'x'"),
        ({"max_error": float("nan")}, "max_error must be above 0, not nan"),
        ({"target_accuracy": 1.5, "labels": [0]}, "target_accuracy must be above 0 and at most 1"),
        ({"target_accuracy": 0.5}, "target_accuracy and labels must be given together"),
        ({"max_error": 1, "labels": [0]}, "target_accuracy and labels must be given together"),
        ({"mean_bits": 1}, "mean_bits must be 2 or more, not 1"),
        ({"max_error": 1, "target_accuracy": 0.5, "labels": [0]}, "not both"),
    ],
)
def test_goals_that_are_none(options, said):
    with pytest.raises(ValueError, match=said):
        Goal(**options)


def test_what_contradicts_a_goal():
    network, x = task()
    goal = Goal(max_error=0.1)
    for options, said in (
        ({"weight_bits": 8}, "weight bits must not be given with a goal"),
        ({"like": compiled(network, x, 8)}, "like must not be given with a goal"),
        ({"learning": LearningOptions()}, "learning must not be given with a goal"),
    ):
        with pytest.raises(CompileError, match=said):
            compile_model(network, calibration=x, goal=goal, **options)
    with pytest.raises(CompileError, match="a goal to fit needs a board"):
        compile_model(network, calibration=x, goal=Goal(fit=True))
    accuracy = Goal(target_accuracy=0.5, labels=np.zeros(4, int))
    with pytest.raises(CompileError, match="an accuracy needs calibration data"):
        compile_model(network, goal=accuracy)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1], r"labels must be of shape \(4,\) or \(9, 4\), not \(2,\)"),
        ([0, 1, 2, 3], r"labels must be within 0\.\.2, not up to 3"),
        ([-1, -1, -1, -1], r"labels must be within 0\.\.2, not up to -1"),
        ([0, 1, 0.5, 1], "labels must be whole numbers"),
        (["a", "b", "c", "d"], "labels must be whole numbers"),
    ],
)
def test_labels_that_are_none(labels, said):
    with pytest.raises(CompileError, match=said):
        checked_labels(labels, (9, 4), 3)
    with pytest.raises(CompileError, match="two outputs or more"):
        checked_labels(labels, (9, 4), 1)


def test_steps_without_a_label_do_not_count():
    output = np.zeros((2, 3, 2))
    output[1, :, 1] = 1
    assert hits(output, np.array([[-1, -1, -1], [1, 1, 0]])) == pytest.approx(2 / 3)


def test_progress_is_told():
    network, x = task()
    said = []
    judge = Judge.of(network, calibrate(network, x), Widths())
    search(Goal(max_error=0.01), judge, partial(plan, lanes=4), said.append)
    assert any("each layer alone" in text for text in said)
    assert any(text.startswith("weights of ") for text in said)
    assert len(tries(Choice.uniform(16, 3))) == 1 + 3 * len(LADDER)


def test_a_network_that_learns_has_no_note_about_the_range_of_its_weights():
    network = Network((Layer(0.3 * np.ones((3, 2)), np.zeros(3), 1.0, 1.0, "tanh"),), 0.5)
    notes = compile_model(network, input_range=(-1, 1), learning=True).report["notes"]
    assert not any("quarter of their weights' range" in note for note in notes)
