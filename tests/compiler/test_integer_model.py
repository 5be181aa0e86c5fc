"""The integer model against Python integers, and its flags, counts and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from exact_integers import trace as exact_trace
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from random_specs import random_spec

from vle.compiler.activation import PiecewiseLinear
from vle.compiler.network import NetworkSpec

SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4)


def frames_of(rng, spec, steps, batch=1):
    fmt = spec.layers[0].x_format
    return rng.integers(fmt.low, fmt.high + 1, (steps, batch, spec.layers[0].inputs))


def assert_equal_to_exact(spec, frames, start):
    expected = exact_trace(spec.layers, frames[:, 0], start)
    for row, (state, counts) in zip(
        expected, spec.trace(frames, start=np.array(start)), strict=True
    ):
        for (u, r, count), layer, got in zip(row, state.layers, counts, strict=True):
            assert layer.u[0].tolist() == u
            assert layer.r[0].tolist() == r
            assert list(got) == count


@settings(max_examples=runs(60))
@given(SHAPES, st.integers(0, 2**32 - 1), st.lists(st.booleans(), min_size=9, max_size=9))
def test_every_word_equals_exact_arithmetic(shape, seed, start):
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, shape)
    assert_equal_to_exact(spec, frames_of(rng, spec, len(start)), start)


@settings(max_examples=runs(25))
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_a_batch_is_its_sequences_one_by_one(shape, seed):
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, shape)
    frames = frames_of(rng, spec, 7, batch=3)
    start = np.eye(1, 7, dtype=bool)[0]
    together = [(s, c) for s, c in spec.trace(frames, start=start)]
    alone = [list(spec.trace(frames[:, b : b + 1], start=start)) for b in range(3)]
    for t, (state, counts) in enumerate(together):
        for index, layer in enumerate(state.layers):
            for b in range(3):
                assert (layer.u[b] == alone[b][t][0].layers[index].u[0]).all()
                assert (layer.r[b] == alone[b][t][0].layers[index].r[0]).all()
            assert counts[index].current == sum(alone[b][t][1][index].current for b in range(3))


def differs(spec, mutant, frames):
    """Whether any word of any step does, with the mutant in Python integers."""
    rows = exact_trace(mutant.layers, frames[:, 0], [False] * len(frames))
    got = [state.layers for state, _ in spec.trace(frames)]
    pairs = [
        (a.u[0].tolist(), a.r[0].tolist()) == (u, r)
        for layers, row in zip(got, rows, strict=True)
        for a, (u, r, _) in zip(layers, row, strict=True)
    ]
    return not all(pairs)


def transparent(layer):
    """The layer with rates that show every bit of the prospective potential."""
    u = layer.u_format
    straight = PiecewiseLinear(1, 1, 0, 0, u.low, u.high, True, True)
    return NetworkSpec((replace(layer, activation=straight, rate_format=u, recurrent=False),))


@pytest.mark.parametrize("field", ["weight", "scale", "bias", "alpha", "rho"])
def test_a_mutation_of_one_lsb_is_seen(field):
    seen = 0
    for seed in range(10):
        layer = random_spec(np.random.default_rng(seed), [3, 4], recurrent=False).layers[0]
        frames = frames_of(np.random.default_rng(seed), NetworkSpec((layer,)), 40)
        words = getattr(layer, field).copy()
        words += np.where(words > 0, -1, 1)
        spec, mutant = transparent(layer), transparent(replace(layer, **{field: words}))
        assert not differs(spec, spec, frames)
        seen += differs(spec, mutant, frames)
    assert seen >= 9  # in one, drives are so large that all currents saturate


def test_layers_above_wait_for_the_first_flag_after_a_reset():
    spec = random_spec(np.random.default_rng(5), [2, 3, 3, 2])
    frames = frames_of(np.random.default_rng(6), spec, 5)
    seen = [
        [layer.waiting for layer in state.layers]
        for state, _ in spec.trace(frames, start=np.array([1, 0, 0, 0, 0]))
    ]
    assert seen[:3] == [[False, True, True], [False, False, True], [False, False, False]]
    assert seen[3:] == [[False] * 3] * 2
    free = [[layer.waiting for layer in state.layers] for state, _ in spec.trace(frames)]
    assert free == [[False] * 3] * 5


def test_a_second_sequence_equals_a_first_one():
    """Back to back without a reset, each sequence answers as if it came alone."""
    spec = random_spec(np.random.default_rng(7), [2, 4, 3, 2])
    rng = np.random.default_rng(8)
    one, two = frames_of(rng, spec, 6), frames_of(rng, spec, 6)
    rest = np.zeros_like(one[:2])
    flag = np.eye(1, 8, dtype=bool)[0]
    alone = [s.layers[-1].r for s, _ in spec.trace(np.concatenate([two, rest]), start=flag)][2:]
    start = np.array([1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    both = list(spec.trace(np.concatenate([one, two, rest]), start=start))
    assert np.array_equal(np.stack(alone), np.stack([s.layers[-1].r for s, _ in both[8:]]))


def test_specs_compare_by_value_and_cannot_be_written():
    first = random_spec(np.random.default_rng(9), [2, 3])
    second = random_spec(np.random.default_rng(9), [2, 3])
    assert first == second
    assert hash(first) == hash(second)
    other = replace(first.layers[0], weight=first.layers[0].weight + 0)
    assert NetworkSpec((other,)) == first
    with pytest.raises(ValueError, match="read-only"):
        first.layers[0].weight[0, 0] = 1


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("weight", np.full((3, 2), 1 << 40), "weight must be integers"),
        ("scale", np.array([-1, 0, 0]), "scale must be integers"),
        ("bias", np.zeros(2, np.int64), "bias must be of shape"),
        ("alpha", np.full(3, 1 << 18), "alpha must be integers"),
        ("rho", np.zeros(3), "rho must be integers"),
        ("scale_shift", 63, "scale_shift must be in 0..62"),
        ("scale_width", 60, "accumulator must fit"),
    ],
)
def test_layers_refuse(field, value, said):
    layer = random_spec(np.random.default_rng(9), [2, 3], recurrent=False).layers[0]
    with pytest.raises(ValueError, match=said):
        replace(layer, **{field: value})


def test_networks_refuse_layers_that_do_not_fit():
    layers = random_spec(np.random.default_rng(9), [2, 3, 2]).layers
    with pytest.raises(ValueError, match="inputs must be"):
        NetworkSpec((layers[0], layers[0]))
    with pytest.raises(ValueError, match="must have a layer"):
        NetworkSpec(())
