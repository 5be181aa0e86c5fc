"""Written by PyTorch: the exporter that traces, and the one that goes through torch.export."""

import logging
import warnings
from functools import partial

import torch
from torch import nn

from corpus.case import Case


class Elman(nn.Module):
    """Two Elman layers and a dense one."""

    def __init__(self, *, batch_first=False, last=False, start=False, both=False):
        super().__init__()
        self.rnn = nn.RNN(5, 7, num_layers=1 if start else 2, batch_first=batch_first)
        self.head = nn.Linear(7, 3)
        self.start = nn.Parameter(torch.randn(1, 1, 7)) if start else None
        self.batch_first, self.last, self.both = batch_first, last, both

    def forward(self, x):
        state = () if self.start is None else (self.start.expand(-1, x.shape[1], -1).contiguous(),)
        y, state = self.rnn(x, *state)
        if self.last:
            y = y[:, -1] if self.batch_first else y[-1]
        return (self.head(y), state) if self.both else self.head(y)


class Leaky(nn.Module):
    """A leaky integrator, step by step in raw operators."""

    def __init__(self, *, last=False):
        super().__init__()
        self.dense, self.head = nn.Linear(5, 7), nn.Linear(7, 3)
        self.tau, self.last = torch.linspace(1.5, 9, 7), last

    def forward(self, x):
        u, rates = torch.zeros(x.shape[1], 7), []
        for frame in x:
            u = u + (self.dense(frame) - u) / self.tau
            rates.append(torch.tanh(u))
        return self.head(rates[-1] if self.last else torch.stack(rates))


class Own(nn.Module):
    """An Elman layer of one's own, whose last state is the answer."""

    def __init__(self):
        super().__init__()
        self.dense, self.back = nn.Linear(5, 7), nn.Linear(7, 7)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 7)
        for frame in x:
            h = torch.relu(self.dense(frame) + self.back(h))
        return h


class Told(nn.Module):
    """An Elman layer whose first state is an input, its last one an output."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(5, 7)

    def forward(self, x):
        return self.rnn(x, x[:1, :, :1].expand(-1, -1, 7).contiguous())


class Residual(nn.Module):
    """A skip around an activation."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(6, 6)

    def forward(self, x):
        return x + torch.relu(self.dense(x))


class Wide(nn.Module):
    """Activations that exporters write in several operators."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        x = nn.functional.softplus(self.layers[0](x))
        x = nn.functional.hardtanh(self.layers[1](x), -0.5, 2.0)
        x = nn.functional.hardsigmoid(self.layers[2](x))
        return torch.clamp(self.layers[3](x), min=-0.25)


def perceptron(*more):
    return nn.Sequential(
        nn.Flatten(),
        nn.BatchNorm1d(6),
        nn.Linear(6, 9),
        nn.ReLU6(),
        nn.Dropout(),
        nn.Linear(9, 8),
        nn.LeakyReLU(0.2),
        nn.Linear(8, 4),
        *more,
    )


def case(name, model, *shape, refused=None, layout="static", dynamo=False):
    producer = "torch dynamo" if dynamo else "torch trace"
    write = partial(export, model, shape, dynamo)
    return Case(producer, name, write, refused, layout)


def export(model, shape, dynamo, path):
    torch.manual_seed(0)
    options = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    if dynamo:
        options["external_data"] = False
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # of packages that are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each exporter announces another one
            torch.onnx.export(
                model().eval(), (torch.randn(*shape),), path, dynamo=dynamo, **options
            )
    finally:
        logging.disable(level)


TIME = (7, 3, 5)
CASES = (
    case("perceptron", perceptron, 6, 1, 2, 3),
    case("probabilities", lambda: perceptron(nn.Softmax(-1)), 6, 6),
    case("activations", Wide, 6, 6),
    case("elman", Elman, *TIME, layout="time"),
    case("elman, batch first", lambda: Elman(batch_first=True), 3, 7, 5, layout="batch"),
    case("elman, last step", lambda: Elman(last=True), *TIME, layout="time,last"),
    case("elman from a state", lambda: Elman(start=True), *TIME, layout="time"),
    case("leaky, written out", Leaky, *TIME, layout="time"),
    case("own cell, last state", Own, *TIME, layout="time,last"),
    case("lstm", lambda: nn.LSTM(5, 7), *TIME, refused=r"\(LSTM\)"),
    case("gru", lambda: nn.GRU(5, 7), *TIME, refused=r"\(GRU\)"),
    case("a state of the input", Told, *TIME, refused=r"\(RNN\): initial_h must be a constant"),
    case("both directions", lambda: nn.RNN(5, 7, bidirectional=True), *TIME, refused=r"\(RNN\)"),
    case("convolution", lambda: nn.Conv1d(5, 4, 3), 2, 5, 9, refused=r"\(Conv\)"),
    case("gelu", lambda: nn.Sequential(nn.Linear(6, 6), nn.GELU()), 6, 6, refused=r"\(Gelu\)"),
    case("layer norm", lambda: nn.LayerNorm(6), 6, 6, refused=r"\(\w+\)"),
    case("residual", Residual, 6, 6, refused=r"\(Add\)"),
    case("perceptron", lambda: perceptron(nn.Softplus()), 6, 1, 2, 3, dynamo=True),
    case("elman", lambda: Elman(both=True), *TIME, layout="time", dynamo=True),
    case("leaky", lambda: Leaky(last=True), *TIME, layout="time,last", dynamo=True),
    case(
        "silu",
        lambda: nn.Sequential(nn.Linear(6, 6), nn.SiLU()),
        6,
        6,
        refused=r"\(Mul\)",
        dynamo=True,
    ),
)
