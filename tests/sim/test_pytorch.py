"""The torch module is the network: the same answers, gradients and parameters."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_networks import random_network
from torch import nn

from vle.sim import Activation, Layer, Network
from vle.sim.dynamics import LayerParameters
from vle.sim.gradients import RULES, adjoint_gradient, local_gradient
from vle.sim.pytorch import LatentLayer, LatentNetwork

DOUBLE = torch.float64


def network(seed=0, **options):
    return replace(random_network(seed, **options), plasticity="filtered", aligned=True)


def one_layer(activation="tanh", **options):
    rng = np.random.default_rng(0)
    tau_m, tau_r = rng.uniform(0.1, 1, (2, 4))
    arrays = rng.normal(size=(4, 3)), rng.normal(size=4), tau_m, tau_r
    return Network((Layer(*arrays, Activation(activation)),), 0.1, aligned=True, **options)


def data(net, steps=15, batch=(4,), seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, *batch, net.inputs))
    return torch.tensor(x), torch.tensor(rng.normal(size=(steps, *batch, net.outputs)))


@pytest.mark.parametrize("batch", [(), (4,)])
@pytest.mark.parametrize("recurrent", [(), (0, 2)])
def test_it_answers_as_the_network_does(recurrent, batch):
    net = network(recurrent=recurrent)
    model = LatentNetwork.from_network(net, dtype=DOUBLE)
    x, _ = data(net, batch=batch)
    np.testing.assert_allclose(model(x).detach(), net.run(x.numpy()), rtol=1e-12, atol=1e-13)


def test_a_sequential_of_layers_is_the_network():
    net = network(1, recurrent=(1,))
    layers = [LatentLayer.from_layer(layer, net.dt, dtype=DOUBLE) for layer in net.layers]
    x, _ = data(net)
    torch.testing.assert_close(nn.Sequential(*layers)(x), LatentNetwork(*layers)(x))


@pytest.mark.parametrize("learn_tau", [False, True])
def test_a_network_comes_back_as_it_was(learn_tau):
    net = network(2, recurrent=(0,), loss="cross_entropy")
    net = replace(net, layers=(*net.layers[:-1], replace(net.layers[-1], activation="identity")))
    model = LatentNetwork.from_network(net, learn_tau=learn_tau, dtype=DOUBLE)
    assert model.to_network() == net


def test_time_constants_outlive_single_precision():
    model = LatentNetwork(LatentLayer(2, 3, dt=0.1, tau_m=[0.1, 0.3, 0.7], learn_tau=True))
    (layer,) = model.to_network().layers
    np.testing.assert_array_equal(layer.tau_m, [0.1, 0.3, 0.7])
    np.testing.assert_array_equal(layer.tau_r, [0.1, 0.1, 0.1])
    (again,) = LatentNetwork.from_network(model.to_network(), dtype=torch.float32).layers
    assert torch.equal(again.weight, model.layers[0].weight)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "sigmoid"])
def test_autograd_is_the_adjoint(activation):
    net = one_layer(activation)
    model = LatentNetwork.from_network(net, learn_tau=True, dtype=DOUBLE)
    x, y = data(net)
    frames, targets = delayed(x, y, 1)
    (exact,) = adjoint_gradient(net.parameters, net.settings, frames, targets)
    model.backward(x, y)
    check(model, [exact], frames=60, tolerance=1e-9)


@pytest.mark.parametrize("rule", ["filtered", "bounded"])
def test_the_filtered_rule_is_exact_in_one_layer(rule):
    net = one_layer()
    model, other = (LatentNetwork.from_network(net, learn_tau=True, dtype=DOUBLE) for _ in range(2))
    x, y = data(net)
    assert model.backward(x, y) == pytest.approx(float(other.backward(x, y, rule)))
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_local_rules_are_those_of_the_gradients(rule, loss):
    net = network(3, recurrent=(1,), loss=loss)
    if loss == "cross_entropy":
        last = replace(net.layers[-1], activation="identity")
        net = replace(net, layers=(*net.layers[:-1], last))
    model = LatentNetwork.from_network(net, learn_tau=True, dtype=DOUBLE)
    x, y = data(net)
    y = torch.argmax(y, -1) if loss == "cross_entropy" else y
    frames, targets = delayed(x, y, len(net.layers))
    expected = local_gradient(net.parameters, net.settings, frames, targets, rule)
    model.backward(x, y, rule)
    check(model, expected, frames=60, tolerance=1e-9)
    model.backward(x, y, rule)  # adds, as autograd does
    check(model, expected, frames=30, tolerance=1e-9)


def delayed(x, y, steps):
    """Let targets wait for the answers of so many layers."""
    absent = np.nan if y.is_floating_point() else -1
    rest = np.zeros((steps, *x.shape[1:]))
    waiting = np.full((steps, *y.shape[1:]), absent, dtype=y.numpy().dtype)
    return np.concatenate([x.numpy(), rest]), np.concatenate([waiting, y.numpy()])


def check(model, expected, frames, tolerance):
    for module, gradient in zip(model.layers, expected, strict=True):
        found = LayerParameters(
            module.weight, module.bias, module.log_m, module.log_r, module.recurrent
        )
        tau_m, tau_r = (tau.detach().numpy() for tau in (module.tau_m, module.tau_r))
        wanted = gradient._replace(tau_m=gradient.tau_m * tau_m, tau_r=gradient.tau_r * tau_r)
        for parameter, value in zip(found[:5], wanted[:5], strict=True):
            if parameter is not None:
                scale = np.abs(value).max() / frames
                np.testing.assert_allclose(
                    parameter.grad, value / frames, rtol=0, atol=tolerance * scale
                )


@pytest.mark.parametrize("rule", ["exact", "filtered", "prospective"])
def test_it_learns(rule):
    torch.manual_seed(0)
    model = LatentNetwork(
        LatentLayer(1, 12, dt=0.1, tau_m=np.geomspace(0.2, 2, 12), tau_r=0.2, learn_tau=True),
        LatentLayer(12, 1, dt=0.1, tau_m=0.2, tau_r=0.2, activation="identity"),
    )
    t = 0.1 * torch.arange(80)
    x = torch.sin(torch.outer(t, torch.tensor([0.6, 1.0, 1.4])))[..., None]
    y = torch.sin(torch.outer(t - 0.5, torch.tensor([0.6, 1.0, 1.4])))[..., None]
    costs = model.fit(x, y, steps=30, rate=0.03, rule=rule)
    assert len(costs) == 30
    assert min(costs[-5:]) < 0.25 * costs[0]
    assert float(model.cost(x, y).detach()) < 0.3 * costs[0]


def test_time_constants_stay_at_least_a_step():
    layer = LatentLayer(1, 2, dt=0.1, tau_m=0.2, learn_tau=True)
    with torch.no_grad():
        layer.log_m -= 5
    assert layer.to_layer().tau_m.min() == 0.1
    assert float(layer.tau_m.detach().min()) == pytest.approx(0.1)


def test_it_stays_on_its_device():
    model = LatentNetwork(LatentLayer(3, 4, dt=0.1, tau_m=0.2, recurrent=True)).to("meta")
    answer = model(torch.zeros(5, 2, 3, device="meta"))
    assert (answer.device.type, answer.shape) == ("meta", (5, 2, 4))


def test_what_is_wrong_is_named():
    layer = LatentLayer(3, 4, dt=0.1, tau_m=0.2)
    for shape in ((3,), (5, 2), (0, 3)):
        with pytest.raises(ValueError, match=r"x must be of shape \(T, ..., 3\), not"):
            layer(torch.zeros(shape))
    with pytest.raises(ValueError, match="dt must be positive and at most the smallest time"):
        LatentLayer(3, 4, dt=0.3, tau_m=0.2, tau_r=0.4)
    with pytest.raises(ValueError, match="inputs of layer 1 must be the 4 neurons below it, not 3"):
        LatentNetwork(layer, layer)
    with pytest.raises(ValueError, match=r"dt must be one for all layers, not \[0.1, 0.2\]"):
        LatentNetwork(layer, LatentLayer(4, 2, dt=0.2, tau_m=0.2))
    with pytest.raises(ValueError, match="loss must be one of"):
        LatentNetwork(layer, loss="hinge")
    with pytest.raises(ValueError, match="activation must be one of"):
        LatentLayer(3, 4, dt=0.1, tau_m=0.2, activation="gelu")
    x, y = torch.zeros(2, 3), torch.zeros(2, 4)
    with pytest.raises(ValueError, match="rule must be one of exact, instantaneous"):
        LatentNetwork(layer).backward(x, y, "hebbian")
    with pytest.raises(ValueError, match="layers must be without backward matrices"):
        LatentNetwork.from_network(random_network(0, backward=True))
    assert repr(LatentNetwork(layer)).endswith("(0): LatentLayer(3, 4, tanh, dt=0.1)\n)")


def test_vle_sim_does_without_torch():
    program = "import sys, vle.sim, vle.sim.gradients; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
