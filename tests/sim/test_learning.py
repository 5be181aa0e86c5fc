"""Learning while running: against backpropagation, on streams, with backward matrices."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from random_networks import DT, random_data, random_network

from vle.sim import Layer, Network
from vle.sim.gradients import local_gradient
from vle.sim.network import PLASTICITIES

RATE = 0.05


def perceptron(seed=0, loss="squared_error", **settings):
    rng = np.random.default_rng(seed)
    widths, layers = (3, 6, 5, 4), []
    for inputs, outputs in pairwise(widths):
        tau = rng.uniform(DT, 1.0, outputs)
        phi = "tanh" if outputs > 4 else "identity"
        weight = rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs))
        layers.append(Layer(weight, rng.normal(0, 0.3, outputs), tau, tau, phi))
    return Network(layers, DT, loss, **settings)


def backpropagation(network, x, y):
    """One step of stochastic gradient descent per frame, as in any textbook."""
    weights = [np.array(layer.weight) for layer in network.layers]
    biases = [np.array(layer.bias) for layer in network.layers]
    for frame, target in zip(x, y, strict=True):
        rates = [np.atleast_2d(frame)]
        for w, b in zip(weights, biases, strict=True):
            current = rates[-1] @ w.T + b
            rates.append(np.tanh(current) if w is not weights[-1] else current)
        if network.loss == "squared_error":
            delta = rates[-1] - target
        else:
            p = np.exp(rates[-1])
            delta = p / p.sum(axis=1, keepdims=True) - np.eye(4)[np.atleast_1d(target)]
        for k in reversed(range(len(weights))):
            below = delta @ weights[k]
            weights[k] -= RATE * delta.T @ rates[k] / len(delta)
            biases[k] -= RATE * delta.sum(axis=0) / len(delta)
            delta = below * (1 - rates[k] ** 2)
    return weights, biases


@pytest.mark.parametrize("plasticity", PLASTICITIES)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize("batch", [(), (5,)])
def test_holding_frames_is_backpropagation(plasticity, loss, batch):
    network, rng = perceptron(loss=loss, plasticity=plasticity), np.random.default_rng(1)
    x = rng.normal(size=(12, *batch, 3))
    y = rng.normal(size=(12, *batch, 4))
    if loss == "cross_entropy":
        y = rng.integers(0, 4, (12, *batch))
    weights, biases = backpropagation(network, x, y)
    network.learn(x, y, rate=RATE)
    for layer, w, b in zip(network.layers, weights, biases, strict=True):
        np.testing.assert_allclose(layer.weight, w, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(layer.bias, b, rtol=1e-9, atol=1e-11)


def test_frames_are_held_only_where_all_layers_are_instantaneous():
    network = perceptron()
    x, y = random_data(network, 0)
    held, free = perceptron(), perceptron()
    held.learn(x, y, hold=6)
    free.learn(x, y, hold=1)
    network.learn(x, y)
    assert network == held
    assert network != free
    slow, expected = random_network(0), random_network(0)
    slow.learn(*random_data(slow, 0))
    expected.learn(*random_data(slow, 0), hold=1)
    assert slow == expected


@pytest.mark.parametrize("plasticity", PLASTICITIES)
def test_small_rates_follow_the_local_gradient(plasticity):
    network = random_network(3, plasticity=plasticity, backward=True)
    x, y = random_data(network, 3)
    gradient = local_gradient(network.parameters, network.settings, x, y, plasticity)
    before, rate = network.parameters, 1e-9
    network.learn(x, y, rate=rate, tau_rate=rate, tau_max=10.0)
    for old, new, g in zip(before, network.parameters, gradient, strict=True):
        for name in ("weight", "bias", "recurrent", "backward"):
            if getattr(old, name) is None:
                continue
            change = (getattr(new, name) - getattr(old, name)) / -rate
            np.testing.assert_allclose(change, getattr(g, name) / 3, atol=2e-5)
        for name in ("tau_m", "tau_r"):
            change = np.log(getattr(new, name) / getattr(old, name)) / -rate
            expected = getattr(old, name) * getattr(g, name) / 3
            np.testing.assert_allclose(change, expected, atol=2e-5)


@pytest.mark.parametrize("plasticity", PLASTICITIES)
def test_a_student_learns_a_teacher_on_a_stream(plasticity):
    rng = np.random.default_rng(0)

    def make(width):
        return Network(
            [
                Layer(rng.normal(0, 0.5, (width, 3)), np.zeros(width), 1.0, 0.5, "tanh"),
                Layer(rng.normal(0, 0.5, (2, width)), np.zeros(2), 1.0, 1.0, "identity"),
            ],
            DT,
            plasticity=plasticity,
        )

    x = np.sin(0.02 * np.arange(3000)[:, None] * np.array([1.0, 1.7, 2.3]))
    y = make(4).run(x)
    student = make(8)
    error = np.mean((student.learn(x, y, rate=0.03, tau_rate=0.01) - y) ** 2, axis=1)
    assert error[-500:].mean() < 0.1 * error[:500].mean()


def test_time_constants_stay_in_their_limits():
    network = random_network(0)
    x, y = random_data(network, 0, steps=60)
    network.learn(x, y, rate=0.0, tau_rate=5.0, tau_max=1.0)
    taus = np.concatenate([tau for layer in network.layers for tau in (layer.tau_m, layer.tau_r)])
    assert taus.min() == DT
    assert taus.max() == 1.0
    assert all(
        np.array_equal(a.weight, b.weight)
        for a, b in zip(network.layers, random_network(0).layers, strict=True)
    )


def test_backward_matrices_come_to_the_transpose_with_decay():
    """Kolen and Pollack: the same update and decay on both make the difference vanish."""
    network = random_network(7, recurrent=(), backward=True)
    x, y = random_data(network, 7, steps=400)

    def distance():
        return [np.abs(layer.backward - layer.weight.T).max() for layer in network.layers]

    start = distance()
    network.learn(x, y, rate=0.02, decay=0.5)
    for first, last in zip(start, distance(), strict=True):
        assert last == pytest.approx(first * 0.99**400, rel=1e-9)


def test_aligned_targets_wait_for_the_answer():
    network = random_network(8, recurrent=(0, 1, 2), aligned=True)
    plain = replace(network, aligned=False)
    x, y = random_data(network, 8, steps=9)
    np.testing.assert_array_equal(network.learn(x, y, rate=0.0), network.run(x))
    absent = np.full((3, *y.shape[1:]), np.nan)
    network.learn(x, y)
    plain.learn(np.concatenate([x, np.zeros((3, *x.shape[1:]))]), np.concatenate([absent, y]))
    for a, b in zip(network.layers, plain.layers, strict=True):  # but the upper layers start late
        assert np.abs(a.weight - b.weight).max() < 0.05
    assert network != plain


def test_without_targets_nothing_is_learned():
    network = random_network(9)
    x, y = random_data(network, 9)
    network.learn(x, np.full_like(y, np.nan), tau_rate=0.1)
    assert network == random_network(9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.zeros((4, 3))}, r"y must be of shape \(4, 2\), not \(4, 3\)"),
        ({"y": np.zeros((3, 2))}, r"y must be of shape \(4, 2\), not \(3, 2\)"),
        ({"y": np.full((4, 2), np.inf)}, "y must be finite, or NaN where absent"),
        ({"x": np.full((4, 3), np.inf)}, "x must be finite"),
        ({"rate": -1.0}, "rate of weight must be 0 or more"),
        ({"tau_max": 0.0}, "tau_max must be positive"),
        ({"hold": 0}, "hold must be at least 1, not 0"),
    ],
)
def test_bad_input(changes, message):
    network = random_network(0)
    with pytest.raises(ValueError, match=message):
        network.learn(**{"x": np.zeros((4, 3)), "y": np.zeros((4, 2)), **changes})


def test_bad_classes():
    network = random_network(0, loss="cross_entropy")
    with pytest.raises(ValueError, match="classes must be -1 or 0 to 1, not 0 to 2"):
        network.learn(np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(ValueError, match=r"y must be of shape \(2, 2\) or integers of shape"):
        network.learn(np.zeros((2, 3)), np.array([0.0, 1.0]))


def test_a_rate_that_diverges_leaves_the_network_as_it_was():
    network = random_network(0, activations=("identity",))
    x, y = random_data(network, 0, steps=200)
    with pytest.raises(ValueError, match="rate must let the parameters stay finite, not 100"):
        network.learn(x, y, rate=100.0)
    assert network == random_network(0, activations=("identity",))


@pytest.mark.parametrize("tau_rate", [0.0, 0.01])
@pytest.mark.parametrize("plasticity", PLASTICITIES)
def test_running_on_between_learning_is_learning_without_targets(plasticity, tau_rate):
    one = random_network(5, (2, 4, 3), plasticity=plasticity)
    two = replace(one)
    x, y = random_data(one, 6, 60, ())
    absent = np.full_like(y[:20], np.nan)
    for network in (one, two):
        network.learn(x[:20], y[:20], rate=RATE, tau_rate=tau_rate)
    ran = one.run(x[20:40], reset=False)
    learned = two.learn(x[20:40], absent, rate=0.0, reset=False)
    np.testing.assert_array_equal(ran, learned)
    for network in (one, two):
        network.learn(x[40:], y[40:], rate=RATE, tau_rate=tau_rate, reset=False)
    assert one == two
