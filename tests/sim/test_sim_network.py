"""`Network` as a user meets it: running, starting, continuing, comparing, refusing."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from random_networks import DT, random_data, random_network

from vle.sim import Activation, Layer, Network, dynamics
from vle.sim.network import PLASTICITIES


def test_shapes_and_sizes():
    network = random_network(0)
    assert (network.inputs, network.outputs, network.latency_steps) == (3, 2, 2)
    assert network.run(np.zeros((7, 3))).shape == (7, 2)
    assert network.run(np.zeros((7, 4, 3))).shape == (7, 4, 2)
    assert network.run(np.zeros((0, 3))).shape == (0, 2)


def test_running_starts_from_reset_and_continues_on_request():
    network = random_network(1)
    x, _ = random_data(network, 1)
    whole = network.run(x)
    np.testing.assert_array_equal(network.run(x), whole)
    parts = [
        network.run(x[:7]),
        network.run(x[7:12], reset=False),
        network.run(x[12:], reset=False),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("plasticity", PLASTICITIES)
def test_learning_continues_on_request(plasticity):
    whole = random_network(2, plasticity=plasticity, gamma=0.02)
    parts = random_network(2, plasticity=plasticity, gamma=0.02)
    x, y = random_data(whole, 2)
    out = whole.learn(x, y)
    halves = [parts.learn(x[:9], y[:9]), parts.learn(x[9:], y[9:], reset=False)]
    np.testing.assert_array_equal(np.concatenate(halves), out)
    assert parts == whole
    np.testing.assert_array_equal(parts.run(x, reset=False), whole.run(x, reset=False))


def test_an_aligned_run_answers_each_frame_in_its_own_output():
    network = random_network(3, recurrent=(0, 1, 2))
    x, _ = random_data(network, 3)
    signal = x
    for layer in network.layers:  # one layer has no latency, so one after the other is the answer
        signal = Network([layer], DT).run(signal)
    np.testing.assert_allclose(network.run(x, aligned=True), signal, atol=1e-12)
    np.testing.assert_array_equal(
        replace(network, aligned=True).run(x), network.run(x, aligned=True)
    )
    assert np.abs(network.run(x)[2:] - signal[:-2]).max() > 1e-3  # the biases ran first


def stepped(network, frames, starts, *, held):
    states = dynamics.reset(network.parameters, errors=False, held=held)
    out = []
    for x, start in zip(frames, starts, strict=True):
        flag = np.asarray(start)
        states, _ = dynamics.step(network.parameters, states, x, None, network.settings, start=flag)
        out.append(states)
    return out


def test_a_held_layer_waits_for_the_flag_at_zero():
    network = random_network(3, recurrent=(0, 1, 2))
    x, _ = random_data(network, 3, batch=())
    history = stepped(network, x, [t == 0 for t in range(len(x))], held=True)
    for t, states in enumerate(history[:3]):
        for k, state in enumerate(states):
            waits = k > t
            assert bool(state.held) == waits
            assert bool(state.flag) == (k == t)
            assert np.all(state.r == 0) == waits
            assert np.all(state.u == 0) == waits
            assert np.all(state.r_prime == 0) or not waits


def test_back_to_back_sequences_do_not_hear_each_other():
    network = random_network(4, recurrent=(0, 1, 2))
    a, _ = random_data(network, 1, steps=6, batch=())
    b, _ = random_data(network, 2, steps=5, batch=())
    frames = np.concatenate([a, b, np.zeros((2, 3))])
    starts = [t in (0, 6) for t in range(len(frames))]
    out = np.array([states[-1].r for states in stepped(network, frames, starts, held=True)])[2:]
    np.testing.assert_array_equal(out[:6], network.run(a, aligned=True))
    np.testing.assert_array_equal(out[6:], network.run(b, aligned=True))


def test_an_aligned_run_continues_without_the_state_of_the_last_sequence():
    network = random_network(4, recurrent=(0, 1, 2))
    a, _ = random_data(network, 1)
    b, _ = random_data(network, 2)
    expected = network.run(b, aligned=True)
    network.run(a)
    np.testing.assert_array_equal(network.run(b, aligned=True, reset=False), expected)


def test_equality():
    network = random_network(0)
    assert network == random_network(0)
    assert network == network.with_parameters(network.parameters)
    assert network != random_network(1)
    assert network != replace(network, beta=0.5)
    assert network != "network"
    layer = network.layers[0]
    assert layer != replace(layer, activation=Activation("leaky_relu", 0.3))
    assert layer != replace(layer, recurrent=np.zeros((5, 5)))


def test_parameters_are_safe_copies():
    weight = np.ones((2, 2))
    layer = Layer(weight, np.zeros(2), 1.0, 1.0, "tanh")
    weight[0, 0] = 5
    assert layer.weight[0, 0] == 1
    np.testing.assert_array_equal(layer.tau_m, [1.0, 1.0])
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0, 0] = 2


def layer(**changes):
    return Layer(
        **{
            "weight": np.ones((2, 3)),
            "bias": np.zeros(2),
            "tau_m": 1.0,
            "tau_r": 1.0,
            "activation": "tanh",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.ones(3)}, r"weight must be of shape \(out, in\), not \(3,\)"),
        ({"weight": [[np.nan, 0, 0], [0, 0, 0]]}, "weight must be finite, not .*nan"),
        ({"bias": np.zeros(3)}, r"bias must be of shape \(2,\), not \(3,\)"),
        ({"bias": [np.inf, 0]}, "bias must be finite, not .*inf"),
        ({"tau_m": 0.0}, "tau_m must be positive, not"),
        ({"tau_r": [1.0, -1.0]}, "tau_r must be positive, not"),
        ({"recurrent": np.ones((2, 3))}, r"recurrent must be of shape \(2, 2\)"),
        ({"backward": np.ones((2, 3))}, r"backward must be of shape \(3, 2\)"),
        ({"activation": "swish"}, "activation must be one of"),
        ({"activation": None}, "activation must be an Activation, not None"),
    ],
)
def test_bad_layers(changes, message):
    with pytest.raises(ValueError, match=message):
        layer(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ()}, "layers must be at least one"),
        ({"layers": (layer(), layer())}, "inputs of layer 1 must be the 2 neurons below it, not 3"),
        ({"dt": 2.0}, "dt must be positive and at most the smallest time constant 1.0, not 2.0"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"dt": float("nan")}, "dt must be finite"),
        ({"loss": "hinge"}, "loss must be one of squared_error, cross_entropy, not 'hinge'"),
        (
            {"plasticity": "hebb"},
            "plasticity must be one of prospective, filtered, not 'hebb'",
        ),
    ],
)
def test_bad_networks(changes, message):
    with pytest.raises(ValueError, match=message):
        Network(**{"layers": (layer(),), "dt": 0.5, **changes})


def test_bad_signals():
    network = Network([layer()], 0.5)
    with pytest.raises(ValueError, match=r"x must be of shape \(T, 3\)"):
        network.run(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="x must be finite"):
        network.run(np.full((4, 3), np.nan))
    network.run(np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match=r"a batch that continues must be of shape \(5,\), not"):
        network.run(np.zeros((4, 3)), reset=False)


def test_importing_needs_no_heavy_package():
    heavy = {"jax", "torch", "onnx", "matplotlib", "click", "rich"}
    code = "import sys, vle.sim; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not heavy & set(done.stdout.split())
