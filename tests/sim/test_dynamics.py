"""The step against a neuron-by-neuron twin, known special cases, and an exact solution."""

import math
from dataclasses import replace
from itertools import pairwise

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import DT, networks, random_data, random_network

from vle.sim import Layer, Network, dynamics
from vle.sim.dynamics import LayerParameters


def unrolled(network, x, y, **changes):
    """All states and signals of all steps."""
    parameters = network.parameters
    states = dynamics.reset(parameters, x.shape[1:-1], **changes)
    history = []
    for frame, target in zip(x, y, strict=True):
        states, signals = dynamics.step(parameters, states, frame, target, network.settings)
        history.append((states, signals))
    return history


def twin(network, x, y):
    """Rates and errors of one sequence, written neuron by neuron from the equations alone."""
    layers, dt = network.layers, network.dt
    rates = [[0.0] * a.outputs for a in layers]
    slopes = [[0.0] * a.outputs for a in layers]
    errors = [[0.0] * a.outputs for a in layers]
    u = [[0.0] * a.outputs for a in layers]
    v = [[0.0] * a.outputs for a in layers]
    out = []
    for frame, target in zip(x, y, strict=True):
        old_r, old_e, old_s = (
            [list(a) for a in rates],
            [list(a) for a in errors],
            [list(a) for a in slopes],
        )
        for k, a in enumerate(layers):
            below = frame if k == 0 else old_r[k - 1]
            for i in range(a.outputs):
                if k == len(layers) - 1:
                    present = not any(math.isnan(t) for t in target)
                    above = network.beta * (target[i] - old_r[k][i]) if present else 0.0
                else:
                    up = layers[k + 1]
                    above = sum(up.weight[j, i] * old_e[k + 1][j] for j in range(up.outputs))
                if a.recurrent is not None and network.error_recurrence:
                    above += sum(a.recurrent[j, i] * old_e[k][j] for j in range(a.outputs))
                f = old_s[k][i] * above - v[k][i]
                errors[k][i] = v[k][i] + a.tau_m[i] / a.tau_r[i] * f
                v[k][i] += dt / a.tau_r[i] * f
                current = a.bias[i] + sum(a.weight[i, j] * below[j] for j in range(a.inputs))
                if a.recurrent is not None:
                    current += sum(a.recurrent[i, j] * old_r[k][j] for j in range(a.outputs))
                d = current + network.gamma * errors[k][i] - u[k][i]
                prosp_u = u[k][i] + a.tau_r[i] / a.tau_m[i] * d
                u[k][i] += dt / a.tau_m[i] * d
                rates[k][i] = float(a.activation(np.array(prosp_u)))
                slopes[k][i] = float(a.activation.derivative(np.array(prosp_u)))
        out.append(([list(a) for a in rates], [list(a) for a in errors]))
    return out


@pytest.mark.parametrize("error_recurrence", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_step_is_the_twin(seed, error_recurrence):
    network = random_network(
        seed, recurrent=(0, 2), gamma=0.1, beta=0.5, error_recurrence=error_recurrence
    )
    x, y = random_data(network, seed, steps=12, batch=())
    for (states, signals), (rates, errors) in zip(
        unrolled(network, x, y), twin(network, x, y), strict=True
    ):
        for k, (state, signal) in enumerate(zip(states, signals, strict=True)):
            np.testing.assert_allclose(state.r, rates[k], rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(signal.e, errors[k], rtol=1e-10, atol=1e-12)


def test_backward_matrix_carries_the_errors():
    network = random_network(0, recurrent=(), backward=True)
    x, y = random_data(network, 0, steps=6)
    transposed = [p._replace(backward=None, weight=p.backward.T) for p in network.parameters]
    states, signals = unrolled(network, x, y)[-1]
    for k in range(2):
        e_above = signals[k + 1].e
        np.testing.assert_allclose(states[k + 1].down, e_above @ transposed[k + 1].weight)


@settings(max_examples=25, deadline=None)
@given(networks(gamma=0.05), st.integers(0, 2**31))
def test_a_batch_is_its_sequences(network, seed):
    x, y = random_data(network, seed, steps=7, batch=(4,))
    together, _ = unrolled(network, x, y)[-1]
    for b in range(4):
        alone, _ = unrolled(network, x[:, b], y[:, b])[-1]
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(many.r[b], one.r, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(many.v[b], one.v, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_jax_and_torch_run_the_same_module(loss):
    network = random_network(5, gamma=0.05, loss=loss)
    x, y = random_data(network, 5, steps=30)
    _, expected = unrolled(network, x, y)[-1]

    def last_errors(parameters, x, y):
        def scanned(states, frame):
            states, signals = dynamics.step(parameters, states, *frame, network.settings)
            return states, signals

        states = dynamics.reset(parameters, x.shape[1:-1])
        return jax.lax.scan(scanned, states, (x, y))[1]

    with jax.enable_x64(True):
        by_jax = jax.jit(last_errors)(network.parameters, x, y)
    tensors = [
        LayerParameters(*(None if a is None else torch.tensor(a) for a in p))
        for p in network.parameters
    ]
    states = dynamics.reset(tensors, x.shape[1:-1], held=False)
    start = torch.full(x.shape[1:-1], fill_value=False)
    for t in range(len(x)):
        frame, target = torch.tensor(x[t]), torch.tensor(y[t])
        states, by_torch = dynamics.step(
            tensors, states, frame, target, network.settings, start=start
        )
    for numpy, jaxed, torched in zip(expected, by_jax, by_torch, strict=True):
        for name in ("x", "d", "inst_e", "e"):
            want = getattr(numpy, name)
            np.testing.assert_allclose(getattr(jaxed, name)[-1], want, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(getattr(torched, name), want, rtol=1e-9, atol=1e-12)


def test_vmap_is_the_batch():
    network = random_network(6)
    x, _ = random_data(network, 6)

    def run(signal):
        states = dynamics.reset(network.parameters, errors=False)

        def scanned(states, frame):
            states, _ = dynamics.step(network.parameters, states, frame, None, network.settings)
            return states, states[-1].r

        return jax.lax.scan(scanned, states, signal)[1]

    with jax.enable_x64(True):
        by_vmap = jax.vmap(run, in_axes=1, out_axes=1)(x)
    np.testing.assert_allclose(by_vmap, network.run(x), rtol=1e-10, atol=1e-12)


# Special cases of the time constants.


def test_equal_time_constants_are_a_plain_multilayer_perceptron():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(2, 5))]
    biases = [rng.normal(size=len(w)) for w in weights]
    tau = [rng.uniform(DT, 1.0, len(w)) for w in weights]
    network = Network(
        [Layer(w, b, t, t, "tanh") for w, b, t in zip(weights, biases, tau, strict=True)], DT
    )
    x = rng.normal(size=(20, 3))
    r = x
    for w, b in zip(weights, biases, strict=True):
        r = np.tanh(r @ w.T + b)
    np.testing.assert_allclose(network.run(x, aligned=True), r, atol=1e-13)
    np.testing.assert_allclose(network.run(x)[network.latency_steps :], r[:-2], atol=1e-13)


def test_smallest_tau_r_is_a_leaky_integrator_one_step_ahead():
    rng = np.random.default_rng(0)
    weight, tau_m = rng.normal(size=(4, 3)), rng.uniform(DT, 1.0, 4)
    network = Network([Layer(weight, np.zeros(4), tau_m, DT, "tanh")], DT)
    x, u = rng.normal(size=(20, 3)), np.zeros(4)
    for frame, r in zip(x, network.run(x), strict=True):
        u = u + DT / tau_m * (weight @ frame - u)  # leaves the step
        np.testing.assert_allclose(r, np.tanh(u), atol=1e-14)


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_recurrent_instantaneous_layers_are_an_elman_network(factor):
    rng = np.random.default_rng(0)
    widths, layers = (3, 4, 5), []
    for inputs, outputs in pairwise(widths):
        recurrent = rng.normal(0, 0.7, (outputs, outputs))
        weight, bias = rng.normal(size=(outputs, inputs)), rng.normal(size=outputs)
        tau = factor * DT
        layers.append(Layer(weight, bias, tau, tau, "tanh", recurrent))
    x = rng.normal(size=(15, 3))
    h = x
    for layer in layers:
        hidden, state = [], np.zeros(layer.outputs)
        for frame in h:
            state = np.tanh(layer.weight @ frame + layer.bias + layer.recurrent @ state)
            hidden.append(state)
        h = np.array(hidden)
    np.testing.assert_allclose(Network(layers, DT).run(x, aligned=True), h, atol=1e-12)


def test_converges_to_the_exact_solution_with_the_first_order_of_euler():
    tau_m, tau_r, omega, end = 0.5, 0.2, 3.0, 2.0
    gain = 1 / (1 + (omega * tau_m) ** 2)

    def exact(t):
        u = gain * (np.sin(omega * t) - omega * tau_m * np.cos(omega * t))
        u += gain * omega * tau_m * np.exp(-t / tau_m)
        return u + tau_r * (np.sin(omega * t) - u) / tau_m

    errors = []
    for dt in (0.02, 0.01, 0.005, 0.0025):
        t = dt * np.arange(round(end / dt))
        network = Network([Layer([[1.0]], [0.0], tau_m, tau_r, "identity")], dt)
        errors.append(np.abs(network.run(np.sin(omega * t)[:, None])[:, 0] - exact(t)).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.05)


@pytest.mark.parametrize("lead", [math.inf, 3.0])
def test_error_filter_leads_by_what_the_membrane_lags(lead):
    """``e = (1 + tau_m d/dt) / (1 + tau_r d/dt) inst_e``, with a gain of at most ``lead``."""
    tau_m, tau_r, omega, dt = 0.8, 0.1, 2.0, 0.001
    t = dt * np.arange(round(12 * np.pi / omega / dt))
    network = Network([Layer([[1.0]], [0.0], tau_m, tau_r, "identity")], dt)
    states, e = dynamics.reset(network.parameters), []
    changed = replace(network.settings, lead=lead)
    for y in np.sin(omega * t)[:, None]:
        states, signals = dynamics.step(network.parameters, states, np.zeros(1), y, changed)
        e.append(signals[0].e[0])
    last = slice(-round(2 * np.pi / omega / dt), None)
    response = 2 * np.mean(np.array(e)[last] * np.exp(-1j * omega * t[last])) * 1j
    expected = (1 + 1j * omega * tau_m) / (1 + 1j * omega * max(tau_r, tau_m / lead))
    assert abs(response - expected) < 0.01 * abs(expected)
