"""`Design` as users meet it, beside `Network` with the same arguments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from nets import random_network, random_signal

from vle.compiler import compile_model
from vle.sim.tasks import mnist1d


def design_of(seed, sizes, **options):
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes, **options)
    x = random_signal(rng, 40, 3, sizes[0])
    return compile_model(network, calibration=x), x


def near(design):
    """Return the derived bound; recurrent layers have none, and a frame too late is far more."""
    bound = design.report["layers"][-1]["error_bound"]
    return 0.02 if bound is None else bound


@settings(max_examples=runs(20))
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=4),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 2**32 - 1),
)
def test_shapes_and_alignment_are_those_of_the_network(sizes, kinds, seed):
    recurrent, aligned, batched = kinds
    design, x = design_of(seed, sizes, recurrent=recurrent, aligned=aligned, activation="tanh")
    x = x if batched else x[:, 0]
    for asked in (None, True, False):
        real, fixed = design.reference.run(x, aligned=asked), design.run(x, aligned=asked)
        assert fixed.shape == real.shape
        assert np.abs(fixed - real).max() < near(design)


def test_a_run_continues_where_the_last_one_stopped():
    design, x = design_of(1, [2, 5, 4, 3], recurrent=True, activation="tanh")
    whole = design.run_raw(design.input_format.quantize(x)).output
    words = design.input_format.quantize(x)
    parts = [design.run_raw(words[:7]).output, design.run_raw(words[7:], reset=False).output]
    assert np.array_equal(np.concatenate(parts), whole)
    with pytest.raises(ValueError, match="a batch that continues"):
        design.run(x[:, :1], reset=False)


def test_aligned_sequences_back_to_back_equal_those_from_reset():
    design, x = design_of(2, [2, 5, 4, 3], recurrent=True, activation="tanh", aligned=True)
    first = design.run(x)
    assert np.array_equal(design.run(x, reset=False), first)


def test_a_trace_shows_every_step():
    design, x = design_of(3, [2, 5, 3], activation="tanh", aligned=True)
    trace = design.run(x, trace=True)
    assert [u.shape for u in trace.u] == [(41, 3, 5), (41, 3, 3)]
    assert np.array_equal(trace.r[-1][1:], trace.output)
    real = design.reference.run(x)
    assert np.abs(trace.output - real).max() < near(design)


def test_inputs_beyond_the_format_are_clamped_and_counted():
    design, x = design_of(4, [2, 3], activation="tanh")
    end = float(design.input_format.real(design.input_format.high))
    loud = x.copy()
    loud[3, 0, 1], loud[4, 1, 0] = 100.0, -100.0
    tame = loud.clip(-end - design.input_format.step, end)
    assert np.array_equal(design.run(loud), design.run(tame))
    assert design.input_saturation == 0
    design.run(loud)
    assert design.input_saturation == 2
    design.run(x)
    assert design.input_saturation == 0


def test_bad_signals_are_refused():
    design, x = design_of(5, [2, 3])
    for bad, said in (
        (np.full((4, 2), np.nan), "must be finite"),
        (np.zeros((4, 3)), r"must be of shape \(T, 2\)"),
        (np.zeros(4), "must be of shape"),
    ):
        with pytest.raises(ValueError, match=said):
            design.run(bad)
    for bad in (x, np.full((4, 2), 1 << 20), np.full((4, 2), -(1 << 20))):
        with pytest.raises(ValueError, match="x must be integers"):
            design.run_raw(bad)


def test_an_empty_signal_has_an_empty_answer():
    design, _ = design_of(6, [2, 3])
    assert design.run(np.zeros((0, 2))).shape == (0, 3)


@pytest.fixture(scope="module")
def task():
    return mnist1d.load()


@pytest.mark.parametrize(("bits", "points"), [(16, 0.2), (8, 0.7)])
def test_the_bundled_model_keeps_its_accuracy(task, bits, points):
    """All 1000 test samples; calibrated on training samples only."""
    design = compile_model(
        "examples/models/mnist1d.onnx",
        calibration=task.x[:, task.train[:128]],
        weight_bits=bits,
    )
    x, y = task.x[:, task.test], task.y[task.test]
    real, fixed = (
        100 * np.mean(run(x).sum(axis=0).argmax(axis=-1) == y)
        for run in (design.reference.run, design.run)
    )
    assert fixed >= real - points
    assert design.input_saturation + sum(map(sum, design.saturation)) == 0
