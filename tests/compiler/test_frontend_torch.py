"""What torch.onnx writes comes in."""

import warnings

import numpy as np
import pytest
import torch
from onnx_models import in_onnxruntime
from torch import nn

from vle.compiler.frontend import read_model


class Recurrent(nn.Module):
    """Two Elman layers and a dense one, on all steps or on the last."""

    def __init__(self, *, last, batch_first):
        super().__init__()
        self.rnn = nn.RNN(5, 7, num_layers=2, batch_first=batch_first)
        self.head = nn.Linear(7, 3)
        self.last, self.batch_first = last, batch_first

    def forward(self, x):
        y, _ = self.rnn(x)
        if self.last:
            y = y[:, -1] if self.batch_first else y[-1]
        return self.head(y)


def export(model, x, path, dynamic):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces another one
        torch.onnx.export(
            model.eval(),
            (x,),
            path,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": dynamic} if dynamic else None,
        )


@pytest.mark.parametrize("dynamic", [{}, {0: "batch"}])
def test_a_perceptron(tmp_path, dynamic):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(),
        nn.BatchNorm1d(12),
        nn.Linear(12, 9),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(9, 8, bias=False),
        nn.Hardtanh(),
        nn.Linear(8, 7),
        nn.ReLU6(),
        nn.Linear(7, 6),
        nn.BatchNorm1d(6),
        nn.Hardsigmoid(),
        nn.Linear(6, 5),
        nn.LeakyReLU(0.2),
        nn.Linear(5, 4),
        nn.Softplus(),
        nn.Linear(4, 3),
        nn.Sigmoid(),
    )
    x = torch.randn(4, 1, 3, 4)
    export(model, x, tmp_path / "m.onnx", dynamic)
    network = read_model(tmp_path / "m.onnx")
    found = network.run(x.numpy().reshape(4, 12))
    assert np.abs(found - in_onnxruntime(tmp_path / "m.onnx", x.numpy())).max() < 1e-5
    assert len(network.layers) == 7


@pytest.mark.parametrize("dynamic", [{}, {0: "a", 1: "b"}])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_an_elman_network(tmp_path, last, batch_first, dynamic):
    torch.manual_seed(0)
    x = torch.randn(11, 2, 5)
    given = x.swapaxes(0, 1) if batch_first else x
    model = Recurrent(last=last, batch_first=batch_first)
    export(model, given, tmp_path / "m.onnx", dynamic)
    expected = in_onnxruntime(tmp_path / "m.onnx", given.numpy())
    expected = expected if last or not batch_first else expected.swapaxes(0, 1)
    found = read_model(tmp_path / "m.onnx").run(x.numpy())
    assert np.abs((found[-1] if last else found) - expected).max() < 1e-5
