"""Which activation a function is, from its values alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vle.compiler.frontend.recognize import POINTS, look_alike, recognize, run_steps
from vle.compiler.frontend.steps import Nonlinear
from vle.sim import Activation

NAMES = ["relu", "leaky_relu", "tanh", "sigmoid", "softplus", "hard_tanh", "hard_sigmoid"]
scales = st.floats(0.3, 3) | st.floats(-3, -0.3)
shifts = st.floats(-2, 2)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(NAMES), inner=scales, at=shifts, outer=scales, above=shifts)
def test_any_scaled_and_shifted_activation(name, inner, at, outer, above):
    y = outer * Activation(name)(inner * POINTS + at) + above
    steps = recognize("node", y)
    assert sum(isinstance(step, Nonlinear) for step in steps) == 1
    assert np.abs(run_steps(steps, POINTS) - y).max() <= 1e-5 * max(1, np.abs(y).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_activation_needs_no_arithmetic(name):
    steps = recognize("node", Activation(name)(POINTS))
    assert steps == (Nonlinear("node", Activation(name)),)


@pytest.mark.parametrize(
    "function",
    [
        np.sin,
        np.square,
        lambda x: x * np.tanh(x),
        lambda x: np.exp(-(x**2)),
        lambda x: np.tanh(x) + 0.01 * x,
        lambda x: np.tanh(x) + 1e-4 * np.sin(x),
        lambda x: np.where(x > 0, 1.0, 0.0),
        lambda x: np.clip(x, -1, 1) + np.clip(x, 3, 4),
        np.arctan,
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    ],
)
def test_others_are_none(function):
    assert recognize("node", function(POINTS)) == ()


def test_a_line_is_a_scale_and_a_shift():
    (step,) = recognize("node", 3 * POINTS - 1)
    assert (float(step.scale), float(step.shift)) == (3, -1)


def test_famous_functions_have_names():
    assert "SiLU" in look_alike(POINTS / (1 + np.exp(-POINTS)))
    assert look_alike(np.tanh(POINTS)) == ""
