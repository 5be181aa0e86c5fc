"""`make sim` on a user's own model and data, and on what it cannot take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vle.sim import Activation, Layer, Network

ROOT = Path(__file__).parents[1]


def sim(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program behind `make sim`."""
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "sim.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    layers = [
        Layer(
            weight=rng.normal(size=(outputs, inputs)),
            bias=np.zeros(outputs),
            tau_m=np.full(outputs, 2.0),
            tau_r=np.full(outputs, 1.0),
            activation=Activation("tanh"),
        )
        for inputs, outputs in ((2, 6), (6, 3))
    ]
    path = tmp_path_factory.mktemp("own") / "own.onnx"
    Network(tuple(layers), dt=0.5, aligned=True).save(path)
    return path


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("shape", [(40, 2), (25, 5, 2)])
def test_own_model_and_data(model, tmp_path, shape):
    data = saved(tmp_path / "x.npy", np.random.default_rng(1).normal(size=shape))
    options = ["--model", model, "--data", data, "--lanes", 4, "--out", tmp_path / "out"]
    if len(shape) == 3:
        options += ["--labels", saved(tmp_path / "y.npy", np.arange(5) % 3)]
    for again in (False, True):
        done = sim(*options)
        assert done.returncode == 0, done.stderr
        assert ("up to date" in done.stdout) == again
    (tmp_path / "out" / "bundle" / "top.v").unlink()
    done = sim(*options)
    assert done.returncode == 0, done.stderr
    assert "up to date" not in done.stdout
    facts = json.loads((tmp_path / "out" / "sim.json").read_text())
    assert facts["words"] == {"compared": 3 * np.prod(shape[:-1]), "differing": 0}
    assert facts["cycles_per_step"]["plan"] == facts["cycles_per_step"]["measured"]
    assert (facts["accuracy"] is None) == (len(shape) == 2)
    assert (tmp_path / "out" / "sim.png").read_bytes()[1:4] == b"PNG"


def test_cycles_other_than_planned_are_an_error(model, tmp_path, monkeypatch):
    data = saved(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(9, 2)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "from vle.compiler.circuit import timing\n"
        "planned = timing.Timing.output_times\n"
        "timing.Timing.output_times = lambda *a: [t + t // 99 for t in planned(*a)]\n"
    )
    done = sim("--model", model, "--data", data, "--lanes", 4, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "did not take the cycles that are planned" in done.stdout


def test_bad_input_is_one_line(model, tmp_path):
    good = saved(tmp_path / "good.npy", np.zeros((4, 2)))
    text = tmp_path / "text.npy"
    text.write_text("0, 1\n")
    cases = {
        "MODEL and DATA must be given both": ("--model", model),
        "nothing.npy: DATA must be an array saved": ("--model", model, "--data", "nothing.npy"),
        "text.npy: DATA must be an array saved": ("--model", model, "--data", text),
        "DATA must be of shape (T, inputs) or": (
            *("--model", model, "--data"),
            saved(tmp_path / "flat.npy", np.zeros(4)),
        ),
        "LABELS must be of shape (1,)": ("--model", model, "--data", good, "--labels", good),
        "--sequences must be 1 or more, not 0": (
            *("--model", model, "--data", good, "--sequences", 0),
        ),
        "--sequences must be 1 or more, not -3": ("--sequences", -3),
        "nothing.onnx": ("--model", "nothing.onnx", "--data", good),
        "text.npy: ": ("--model", text, "--data", good),
        "wide.npy": (
            *("--model", model, "--data"),
            saved(tmp_path / "wide.npy", np.zeros((4, 3))),
        ),
    }
    for rule, options in cases.items():
        done = sim(*options, "--out", tmp_path / "out")
        assert done.returncode == 2, (rule, done.stdout, done.stderr)
        assert rule in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "out" / "bundle").exists()
