"""Exact gradients against each other and against differences; local ones where they are exact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import DT, SMOOTH, networks, random_data, random_network

from vle.sim import Activation, Layer, Network, losses
from vle.sim.activations import NAMES
from vle.sim.dynamics import LayerParameters, reset, step
from vle.sim.gradients import (
    RULES,
    adjoint_gradient,
    agreement,
    local_gradient,
    reverse_gradient,
    to_log_tau,
)
from vle.sim.gradients.local import filtered, group, reset_trace

NUMBERS = ("weight", "bias", "tau_m", "tau_r", "recurrent")


def relative(gradient, exact):
    """Largest difference by the largest number, over all parameters of all layers."""
    pairs = [
        (np.asarray(getattr(g, name)), getattr(e, name))
        for g, e in zip(gradient, exact, strict=True)
        for name in NUMBERS
        if getattr(e, name) is not None
    ]
    scale = max(np.abs(e).max() for _, e in pairs)
    return max(np.abs(g - e).max() for g, e in pairs) / (scale or 1.0)


def cost(network, x, y):
    """``beta`` times the cost, summed, by running the network."""
    rates = np.concatenate([np.zeros((1, *x.shape[1:-1], network.outputs)), network.run(x)[:-1]])
    return network.beta * losses.cost(network.loss, rates, y).sum()


def differences(network, x, y, h=2e-5):
    """Central differences of fourth order, one parameter after the other."""
    parameters = network.parameters
    gradient = []
    for k, p in enumerate(parameters):
        found = {}
        for name in NUMBERS:
            value = getattr(p, name)
            if value is None:
                continue
            found[name] = np.zeros_like(value)
            for index in np.ndindex(value.shape):
                costs = []
                for shift in (1, -1, 2, -2):
                    moved = np.array(value)
                    moved[index] += shift * h
                    layers = list(parameters)
                    layers[k] = p._replace(**{name: moved})
                    costs.append(cost(network.with_parameters(layers), x, y))
                near, far = costs[0] - costs[1], costs[2] - costs[3]
                found[name][index] = (8 * near - far) / (12 * h)
        gradient.append(LayerParameters(**found))
    return gradient


def exact(network, x, y):
    return adjoint_gradient(network.parameters, network.settings, x, y)


@settings(max_examples=5, deadline=None)
@given(networks(), st.integers(0, 2**31))
def test_jax_is_the_adjoint(network, seed):
    x, y = random_data(network, seed, steps=25)
    by_jax = reverse_gradient(network.parameters, network.settings, x, y)
    assert relative(by_jax, exact(network, x, y)) < 1e-9


def test_jax_is_the_adjoint_through_all_activations():
    network = random_network(1, (3, *([5] * len(NAMES))), recurrent=(2, 5))
    pairs = zip(network.layers, NAMES, strict=True)
    layers = tuple(replace(layer, activation=Activation(name)) for layer, name in pairs)
    network = replace(network, layers=layers)
    x, y = random_data(network, 1, steps=60)
    by_jax = reverse_gradient(network.parameters, network.settings, x, y)
    assert relative(by_jax, exact(network, x, y)) < 1e-9


@settings(max_examples=12, deadline=None)
@given(networks(activations=SMOOTH, dt=DT / 2), st.integers(0, 2**31))
def test_adjoint_is_the_slope(network, seed):
    x, y = random_data(network, seed, steps=12)
    assert relative(differences(network, x, y), exact(network, x, y)) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_adjoint_is_the_slope_for_each_activation(name):
    network = random_network(4, activations=(name,), recurrent=(0, 2), dt=DT / 2)
    x, y = random_data(network, 4, steps=12)
    assert relative(differences(network, x, y), exact(network, x, y)) < 1e-6


# Local rules.


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_filtered_input_is_exact_in_a_single_layer(seed, shared):
    network = random_network(seed, (4, 6), (), activations=("tanh", "relu", "softplus"))
    if shared:
        layer = replace(network.layers[0], tau_m=1.2, tau_r=0.2)
        network = replace(network, layers=(layer,))
    x, y = random_data(network, seed, steps=50)
    local = local_gradient(network.parameters, network.settings, x, y, "filtered")
    assert relative(local, exact(network, x, y)) < 1e-9
    for names in (("weight", "bias"), ("tau_m", "tau_r")):
        assert agreement(local[0], exact(network, x, y)[0], names).cosine > 0.9999


@pytest.mark.parametrize("rule", ["filtered", "bounded"])
@pytest.mark.parametrize("seed", range(3))
def test_filtered_input_is_exact_in_the_top_layer(seed, rule):
    network = random_network(seed, recurrent=(0, 1), loss="cross_entropy")
    x, y = random_data(network, seed, steps=50)
    local = local_gradient(network.parameters, network.settings, x, y, rule)
    assert relative(local[-1:], exact(network, x, y)[-1:]) < 1e-9


def test_groups_share_a_trace():
    """Neurons in any order with three pairs of time constants, and each on its own, agree."""
    network = random_network(2, (4, 7, 3), ())
    pairs = np.array([(0.6, 0.2), (1.2, 0.2), (1.2, 1.2)])[[2, 0, 1, 1, 0, 2, 0]]
    bottom = replace(network.layers[0], tau_m=pairs[:, 0], tau_r=pairs[:, 1])
    grouped = replace(network, layers=(bottom, network.layers[1]))
    almost = replace(bottom, tau_m=pairs[:, 0] * (1 + 1e-12 * np.arange(7)))
    alone = replace(network, layers=(almost, network.layers[1]))
    x, y = random_data(network, 2, steps=30)
    a, b = (local_gradient(n.parameters, n.settings, x, y, "filtered") for n in (grouped, alone))
    assert relative(a, b) < 1e-9


def test_traces_start_anew_with_a_sequence():
    network = random_network(5, recurrent=(0, 1, 2))
    p, settings = network.parameters, network.settings
    a, y = random_data(network, 1, steps=7)
    b, _ = random_data(network, 2, steps=7)

    def traces(x, starts):
        states = reset(p, (3,), held=True)
        groups = [group(layer) for layer in p]
        found = [reset_trace(layer, g, (3,)) for layer, g in zip(p, groups, strict=True)]
        for t, frame in enumerate(x):
            start = np.full(3, fill_value=t in starts)
            states, signals = step(p, states, frame, y[t % 7], settings, start=start)
            layers = zip(p, signals, found, groups, strict=True)
            found = [filtered(*layer, DT)[1] for layer in layers]
        return found

    together, alone = traces(np.concatenate([a, b]), {0, 7}), traces(b, {0})
    for one, other in zip(together, alone, strict=True):
        for u, v in zip(one, other, strict=True):
            np.testing.assert_allclose(u, v, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_rules_agree_for_instantaneous_layers_and_slow_signals(rule):
    rng = np.random.default_rng(0)
    network = Network(
        [
            Layer(rng.normal(size=(6, 2)), rng.normal(size=6), 0.5, 0.5, "tanh"),
            Layer(rng.normal(size=(2, 6)), rng.normal(size=2), 0.5, 0.5, "identity"),
        ],
        DT,
    )
    x = np.sin(0.002 * np.arange(4000)[:, None] * np.array([1.0, 1.4]))
    y = np.cos(0.002 * np.arange(4000)[:, None] * np.array([1.1, 0.7]))
    local = local_gradient(network.parameters, network.settings, x, y, rule)
    for a, b in zip(local, exact(network, x, y), strict=True):
        assert agreement(a, b).cosine > 0.999


@pytest.mark.parametrize("rule", RULES)
def test_one_sequence_and_a_batch_of_one_agree(rule):
    network = random_network(0)
    x, y = random_data(network, 0, batch=())
    p, s = network.parameters, network.settings
    one, batch = (
        local_gradient(p, s, x, y, rule),
        local_gradient(p, s, x[:, None], y[:, None], rule),
    )
    assert relative(one, batch) < 1e-12
    assert relative(exact(network, x, y), exact(network, x[:, None], y[:, None])) < 1e-12


def test_error_recurrence_can_be_left_out():
    network = random_network(1)
    x, y = random_data(network, 1)
    p = network.parameters
    with_it = local_gradient(p, network.settings, x, y)
    without = local_gradient(p, replace(network.settings, error_recurrence=False), x, y)
    assert relative(with_it[2:], without[2:]) == 0
    assert relative(with_it[:2], without[:2]) > 1e-3


def test_agreement():
    g = random_network(0).parameters[0]
    twice = g._replace(weight=2 * g.weight, bias=2 * g.bias)
    assert agreement(twice, g) == pytest.approx((1.0, 2.0))
    zero = g._replace(weight=0 * g.weight, bias=0 * g.bias)
    assert np.isnan(agreement(zero, g).cosine)


def test_logarithms_of_time_constants():
    network = random_network(3)
    x, y = random_data(network, 3)
    p, h = network.parameters, 1e-6
    gradient = to_log_tau(exact(network, x, y)[0], p[0])
    costs = []
    for sign in (1, -1):
        moved = p[0]._replace(tau_m=p[0].tau_m * np.exp(sign * h * np.eye(5)[2]))
        costs.append(cost(network.with_parameters((moved, *p[1:])), x, y))
    assert gradient.tau_m[2] == pytest.approx((costs[0] - costs[1]) / (2 * h), rel=1e-6)


def test_unknown_rule():
    network = random_network(0)
    with pytest.raises(ValueError, match=r"rule must be one of instantaneous, .* not 'hebb'"):
        local_gradient(network.parameters, network.settings, *random_data(network, 0), "hebb")
