"""What torch.onnx makes of the torch module comes in, from both of its exporters."""

import warnings

import numpy as np
import pytest
import torch
from onnx_models import in_onnxruntime

from vle.compiler import compile_model
from vle.compiler.frontend import import_model
from vle.sim import Activation, Network
from vle.sim.pytorch import LatentLayer, LatentNetwork

CASES = {
    "one leaky layer": lambda: [LatentLayer(3, 2, dt=0.1, tau_m=[0.1, 0.7], activation="identity")],
    "all kinds of layers": lambda: [
        LatentLayer(3, 5, dt=0.1, tau_m=np.geomspace(0.2, 3, 5), recurrent=True),
        LatentLayer(5, 4, dt=0.1, tau_m=0.5, tau_r=0.5, activation="relu"),
        LatentLayer(4, 4, dt=0.1, tau_m=0.4, tau_r=0.8, activation=Activation("leaky_relu", 0.2)),
        LatentLayer(4, 4, dt=0.1, tau_m=0.3, activation="hard_sigmoid"),
        LatentLayer(4, 2, dt=0.1, tau_m=0.3, tau_r=[0.1, 0.3], activation="identity"),
    ],
    "time constants that learned": lambda: learned(
        LatentLayer(3, 5, dt=0.1, tau_m=0.5, tau_r=0.2, learn_tau=True, activation="sigmoid"),
        LatentLayer(5, 2, dt=0.1, tau_m=0.3, recurrent=True, learn_tau=True, activation="softplus"),
    ),
}


def learned(*layers):
    with torch.no_grad():
        for layer in layers:
            layer.log_m += 0.3 * torch.randn_like(layer.log_m)
            layer.log_r += 0.1
    return layers


def export(model, x, path, dynamo):
    axes = {"dynamic_axes": {"x": {1: "batch"}}}
    if dynamo:
        axes = {"dynamic_shapes": ({1: torch.export.Dim("batch")},), "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old exporter announces the new, the new its parts
        torch.onnx.export(model, (x,), path, dynamo=dynamo, input_names=["x"], **axes)


@pytest.mark.parametrize(
    ("name", "dynamo"), [*((name, False) for name in CASES), ("all kinds of layers", True)]
)
def test_a_model_comes_in_from_torch(tmp_path, name, dynamo):
    torch.manual_seed(0)
    model, x = LatentNetwork(*CASES[name]()), torch.randn(4, 3, 3)
    export(model, x, tmp_path / "m.onnx", dynamo)
    network = import_model(tmp_path / "m.onnx").network
    assert (
        np.abs(network.run(x.numpy()) - in_onnxruntime(tmp_path / "m.onnx", x.numpy())).max() < 1e-5
    )
    own = model.to_network()
    longer = np.random.default_rng(0).normal(size=(50, 2, 3))
    assert np.abs(network.run(longer) - own.run(longer)).max() < 1e-5
    assert len(network.layers) == len(own.layers)


def test_it_compiles_the_same_from_torch_and_from_its_own_file(tmp_path):
    torch.manual_seed(1)
    model, x = LatentNetwork(*CASES["all kinds of layers"]()), torch.randn(40, 3)
    export(model, torch.randn(4, 2, 3), tmp_path / "torch.onnx", dynamo=False)
    model.to_network().save(tmp_path / "own.onnx")
    assert Network.load(tmp_path / "own.onnx") == model.to_network()
    names = ("torch.onnx", "own.onnx")
    designs = [compile_model(tmp_path / name, calibration=x.numpy(), lanes=8) for name in names]
    first, second = (design.run(x.numpy()) for design in designs)
    assert np.abs(first - second).max() < 1e-3
    assert np.abs(first - model(x).detach().numpy()).max() < 5e-3
