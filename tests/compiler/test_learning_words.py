"""Pieces of the integer model of learning, each against what it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vle.compiler.fixed import round_shift
from vle.compiler.learning import errors, noise, time_constants, top, traces, updates
from vle.compiler.learning.errors import ErrorFilter, Scale
from vle.compiler.learning.rate import Rate


def draws(count: int, seed: int = 1) -> np.ndarray:
    """One row's draws over many steps."""
    state, found = seed, []
    for _ in range(count):
        found.append(int(noise.row_draws(state, 3)[2]))
        state = noise.advance(state)
    return np.array(found)


def test_draws_are_uniform_and_steps_apart_are_independent():
    found = draws(1 << 14) / 2**16
    assert abs(found.mean() - 0.5) < 5 / np.sqrt(12 * len(found))
    counts = np.bincount((found * 16).astype(int), minlength=16)
    assert np.all(np.abs(counts - 1024) < 6 * np.sqrt(1024))
    for apart in (1, 2, 3, 7):
        assert abs(np.corrcoef(found[apart:], found[:-apart])[0, 1]) < 5 / np.sqrt(len(found))


def test_weights_of_a_step_round_apart():
    state, rows = 12345, []
    for _ in range(400):
        a, b = noise.row_draws(state, 6), noise.column_draws(state, 5)
        rows.append(((a[:, None] + b) & 0xFFFF).ravel())
        state = noise.advance(state)
    ups = (np.array(rows) > 0x8000).astype(float)
    correlation = np.corrcoef(ups.T) - np.eye(30)
    assert np.abs(correlation).mean() < 0.1
    assert (ups.sum(axis=1) > 0).all()


@given(st.integers(-(2**40), 2**40), st.integers(0, 47), st.integers(0, 2**16 - 1))
def test_stochastic_rounding_goes_to_a_neighbour_and_keeps_integers(raw, shift, draw):
    got = int(noise.stochastic_shift(np.array([raw]), shift, np.array([draw]))[0])
    assert got in {raw >> shift, -(-raw >> shift)}


@pytest.mark.parametrize("shift", [1, 5, 16, 17, 20, 30])
def test_stochastic_rounding_is_right_on_average(shift):
    raw = (3 << shift) + (1 << shift) // 3
    every = np.arange(1 << 16)
    mean = noise.stochastic_shift(np.full(1 << 16, raw), shift, every).mean()
    assert abs(mean - raw / 2**shift) < 2**-15


def test_signals_follow_rate_and_exponent():
    error = np.array([-30000, -1, 0, 5, 32767])
    signals = np.zeros(5)
    for draw in range(0, 1 << 16, 257):
        got = updates.learning_signal(Rate.of(0.37), error, -2, np.full(5, draw))
        assert got.saturated == 0
        signals += got.words / 256
    np.testing.assert_allclose(signals, error * Rate.of(0.37).value / 4, atol=0.01)


def test_signals_saturate_and_say_so():
    got = updates.learning_signal(Rate.of(1.0), np.array([20000, -20000, 0]), 8, np.zeros(3, int))
    assert got.words.tolist() == [131071, -131072, 0]
    assert got.saturated == 2


@pytest.mark.parametrize("value", [1e-9, 0.01, 0.37, 1.0, 1000.0])
def test_rates_are_held_within_half_a_word(value):
    assert Rate.of(value).value == pytest.approx(value, rel=2.0**-16)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1e60])
def test_rates_out_of_reach_are_refused(value):
    with pytest.raises(ValueError, match="rate must be"):
        Rate.of(value)


@given(st.integers(0, 2**32 - 1))
def test_error_filter_follows_the_float_filter(seed):
    rng = np.random.default_rng(seed)
    n, kappa, beta = 6, rng.uniform(0.2, 4), rng.uniform(0.05, 1)
    unit = ErrorFilter(
        np.full(n, round(kappa * 2**14)), np.full(n, round(beta * 2**16)), 14, 16, 16, 16, 24
    )
    scale, prime = Scale(-13), rng.integers(0, 1 << 16, n)
    v, before, v_float = np.zeros(n, np.int64), -13, np.zeros(n)
    for _ in range(40):
        above = rng.integers(-8000, 8000, n)
        got = unit.step([(above, -13)], prime, (v, before), scale)
        inst = prime / 2**16 * above * 2.0**-13
        f = inst - v_float
        e, v_float = v_float + kappa * f, v_float + beta * f
        one = 2.0**scale.exponent
        if got.saturated == 0:
            np.testing.assert_allclose(got.inst_e * one, inst, atol=2 * one)
            np.testing.assert_allclose(got.e * one, e, atol=(3 + 8 * kappa) * one)
        v, before, scale = got.v, scale.exponent, got.scale
        if got.saturated:
            v_float = v * 2.0 ** (before - 8)


def test_an_exponent_rises_at_once_and_falls_with_patience():
    assert errors.rescale(Scale(-13), (1 << 15) - 1, 16) == Scale(-12)
    assert errors.rescale(Scale(-13), (1 << 20) - 1, 16) == Scale(-7)
    assert errors.rescale(Scale(-13, 5), 1 << 13, 16) == Scale(-13)
    assert errors.rescale(Scale(-13, 5), 0, 16) == Scale(-13)
    scale = Scale(-13)
    for _ in range(errors.PATIENCE):
        assert scale.exponent == -13
        scale = errors.rescale(scale, 3, 16)
    assert scale == Scale(-14)
    assert errors.rescale(Scale(31), 1 << 17, 16) == Scale(31)
    assert errors.rescale(Scale(-96, errors.PATIENCE - 1), 1, 16) == Scale(-96)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-60, 60))
def test_alignment_is_a_rounded_shift_that_clamps(raw, left):
    got, over = errors.align(np.array([raw]), left, 18)
    exact = raw << left if left >= 0 else int(round_shift(np.array([raw]), min(-left, 60))[0])
    assert got[0] == np.clip(exact, -(1 << 17), (1 << 17) - 1)
    assert over[0] == (got[0] != exact)


def test_softmax_is_that_of_the_rates():
    rng = np.random.default_rng(3)
    for count in (1, 2, 10, 200):
        for spread in (0.0, 1.0, 6.0, 100.0):
            r = rng.normal(0, 1, count) * spread
            raw = np.floor(r * 2**8 + 0.5).astype(np.int64)
            p = top.softmax(raw, 8) / 2**top.PROBABILITY_BITS
            exact = np.exp(raw / 2**8 - (raw / 2**8).max())
            np.testing.assert_allclose(p, exact / exact.sum(), atol=2.5 * 2.0**-14)


def test_powers_of_two_are_within_their_table():
    y = np.arange(-(10 << time_constants.LOG_BITS), 8 << time_constants.LOG_BITS, 9973)
    exact = np.exp2(y / 2**time_constants.LOG_BITS)
    got = time_constants.exp2(y, 16, 40) / 2**16
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=2.0**-16)
    assert time_constants.exp2(np.array([20 << 19]), 15, 26)[0] == (1 << 26) - 1


def test_traces_follow_their_float_filter():
    rng = np.random.default_rng(0)
    alpha, rho = np.array([0.1, 0.4]), np.array([0.25, 1.75])
    words = (np.round(alpha * 2**16).astype(int), 16, np.round(rho * 2**14).astype(int), 14)
    trace = traces.Trace(np.zeros((2, 5), np.int64), np.zeros((2, 5), np.int64))
    low, saturated = np.zeros((2, 5)), 0
    for _ in range(200):
        z = rng.integers(-(1 << 15), 1 << 15, 5)
        trace, count = traces.advance(trace, z, words, 1, 16)
        gap = z - low
        bar, low = low + rho[:, None] * gap, low + alpha[:, None] * gap
        saturated += count
        expected = np.clip(bar / 2, -(1 << 15), (1 << 15) - 1)
        np.testing.assert_allclose(trace.bar, expected, atol=1.5)
    assert saturated > 0
