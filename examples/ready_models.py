"""Make the ready models of `examples/models` anew, each as its tool writes it.

A perceptron by scikit-learn, an Elman network by PyTorch, both on scikit-learn's handwritten
digits; the perceptron quantised by onnxruntime. Leaky integrators on JapaneseVowels come from
`vle-train japanese_vowels --seed 0`.

    python examples/ready_models.py [--out examples/models]
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

HELD_OUT = 450  # of 1797 digits


def digits() -> tuple[NDArray[np.float32], ...]:
    """Return training images, held-out images, and their classes; images are 64 numbers 0..16."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x.astype(np.float32), y, test_size=HELD_OUT, random_state=0)
    return tuple(np.asarray(part) for part in parts)


class RowByRow(nn.Module):
    """An Elman network that reads an image as 8 rows of 8 and answers after the last."""

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.rnn = nn.RNN(8, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return scores `(batch, 10)` of images `(batch, 8, 8)`."""
        states, _ = self.rnn(rows / 16)
        return self.head(states[:, -1])


class Calibration(CalibrationDataReader):
    """Training images, in one batch, as onnxruntime asks for them."""

    def __init__(self, name: str, x: NDArray[np.float32]) -> None:
        self.batches = iter([{name: x}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch, None after the last."""
        return next(self.batches, None)


def perceptron(out: Path, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Write a pipeline of scikit-learn, with its two outputs."""
    model = make_pipeline(
        StandardScaler(),
        MLPClassifier(hidden_layer_sizes=(48, 32), alpha=0.1, max_iter=200, random_state=0),
    )
    model.fit(x, y)
    options = {"zipmap": False}
    (out / "digits_mlp.onnx").write_bytes(
        to_onnx(model, x[:1], options=options).SerializeToString()
    )


def elman(out: Path, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Write an Elman network as torch's exporter does: every step written out."""
    torch.manual_seed(0)
    model = RowByRow()
    images, classes = torch.tensor(x).reshape(-1, 8, 8), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    for _ in range(60):
        for chosen in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[chosen]), classes[chosen]).backward()
            optimizer.step()
        schedule.step()
    program = torch.onnx.export(
        model.eval(),
        (images[:2],),
        input_names=["rows"],
        output_names=["scores"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    exported = program.model_proto
    for node in exported.graph.node:  # where in which file each was called
        del node.metadata_props[:]
    onnx.save(exported, out / "digits_rnn.onnx")


def quantized(out: Path, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Write a perceptron of torch, quantised by onnxruntime to 8 bits.

    The scale of the inputs is given, a power of two: then the chip's words are the model's.
    """
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
    model.append(nn.Linear(32, 10))
    images, classes = torch.tensor(x), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=1e-4)
    for _ in range(40):
        for chosen in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[chosen]), classes[chosen]).backward()
            optimizer.step()
    plain = out / "plain.onnx"
    export = {"input_names": ["x"], "output_names": ["scores"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(model.eval(), (images[:2],), plain, dynamo=False, **export)
    given = {"x": [{"scale": np.array(1 / 8, "f4"), "zero_point": np.array(0, "u1")}]}
    quantize_static(
        plain,
        out / "digits_qdq.onnx",
        Calibration("x", x),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"TensorQuantOverrides": given},
    )
    plain.unlink()


@click.command()
@click.option("--out", type=Path, default=Path("examples/models"), show_default=True)
def main(out: Path) -> None:
    """Train and write the models."""
    out.mkdir(parents=True, exist_ok=True)
    x, _, y, _ = digits()
    logging.disable(logging.WARNING)  # exporters recommend themselves
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        perceptron(out, x, y)
        elman(out, x, y)
        quantized(out, x, y)


if __name__ == "__main__":
    main()
