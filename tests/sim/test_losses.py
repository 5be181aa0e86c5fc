"""Costs against formulas, and the errors that they send down against differences."""

import numpy as np
import pytest

from vle.sim import losses

RNG = np.random.default_rng(0)
R = RNG.normal(size=(4, 3))
VALUES = RNG.normal(size=(4, 3))
CLASSES = np.array([0, 2, -1, 1])


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("squared_error", VALUES),
        ("cross_entropy", CLASSES),
        ("cross_entropy", np.array([[0.2, 0.3, 0.5]] * 4)),
        ("cross_entropy", np.array([[2.0, 0.0, 1.0]] * 4)),
    ],
)
def test_descent_is_minus_the_slope(name, target):
    h = 1e-6
    for j in range(3):
        shift = h * np.eye(3)[j]
        up, down = losses.cost(name, R + shift, target), losses.cost(name, R - shift, target)
        descent = losses.descent(name, R, target)[:, j]
        np.testing.assert_allclose(descent, -(up - down) / (2 * h), atol=1e-8)


def test_formulas():
    np.testing.assert_allclose(
        losses.cost("squared_error", R, VALUES), 0.5 * ((R - VALUES) ** 2).sum(axis=1)
    )
    p = np.exp(R) / np.exp(R).sum(axis=1, keepdims=True)
    expected = [-np.log(p[0, 0]), -np.log(p[1, 2]), 0.0, -np.log(p[3, 1])]
    np.testing.assert_allclose(losses.cost("cross_entropy", R, CLASSES), expected)
    onehot = np.eye(3)[CLASSES] - p
    onehot[2] = 0
    np.testing.assert_allclose(losses.descent("cross_entropy", R, CLASSES), onehot)


def test_one_nan_makes_a_target_absent():
    values = VALUES.copy()
    values[1, 2] = np.nan
    assert losses.cost("squared_error", R, values)[1] == 0
    assert np.all(losses.descent("squared_error", R, values)[1] == 0)
    assert np.all(losses.descent("squared_error", R, values)[0] != 0)


def test_cross_entropy_is_stable_far_out():
    r = np.array([[1e4, 0.0, -1e4]])
    assert losses.cost("cross_entropy", r, np.array([1])) == 1e4
