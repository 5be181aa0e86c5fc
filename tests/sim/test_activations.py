"""Activations against textbook formulas, and their derivatives against differences."""

import math

import numpy as np
import pytest

from vle.sim import Activation
from vle.sim.activations import NAMES

TEXTBOOK = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "hard_tanh": lambda x: min(max(x, -1.0), 1.0),
    "hard_sigmoid": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
}
X = np.linspace(-4.03, 4.01, 101)


@pytest.mark.parametrize("name", NAMES)
def test_is_the_textbook_formula(name):
    expected = [TEXTBOOK[name](x) for x in X]
    np.testing.assert_allclose(Activation(name)(X), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_is_the_slope(name):
    phi, h = Activation(name), 1e-6
    slope = (phi(X + h) - phi(X - h)) / (2 * h)
    np.testing.assert_allclose(phi.derivative(X), slope, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_is_finite_far_out(name):
    r, r_prime = Activation(name).with_derivative(np.array([-1e4, 0.0, 1e4]))
    assert np.all(np.isfinite(r))
    assert np.all(np.isfinite(r_prime))


def test_constants():
    assert Activation("leaky_relu").alpha == 0.01
    assert Activation("leaky_relu", 0.3)(np.array([-2.0])) == -0.6
    assert Activation("hard_sigmoid", 0.5, 0.25)(np.array([0.5])) == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("swish",), "activation must be one of identity"),
        (("relu", 0.1), "alpha of relu must be None"),
        (("leaky_relu", float("nan")), "alpha of leaky_relu must be finite"),
        (("leaky_relu", 0.1, 0.1), "beta of leaky_relu must be None"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        Activation(*arguments)
