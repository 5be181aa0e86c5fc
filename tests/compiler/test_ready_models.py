"""The ready models: the integer model keeps the accuracy that onnxruntime has with the file."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from vle.compiler import compile_model
from vle.compiler.frontend import import_model
from vle.compiler.planning.boards import BOARDS
from vle.compiler.planning.choices import Choices, choose
from vle.compiler.planning.resources import fit
from vle.sim.tasks import load

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "examples" / "models"
LOST = {16: 0.002, 8: 0.01}  # of the accuracy, or one sample where that is more


def answers(path, x):
    """All outputs of onnxruntime, by name."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x}), strict=True))


@pytest.fixture(scope="module")
def digits():
    """Training and held-out images, and the classes of the latter."""
    path = ROOT / "examples" / "ready_models.py"
    spec = importlib.util.spec_from_file_location("ready_models", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ready_models"] = module
    spec.loader.exec_module(module)
    x_train, x, _, y = module.digits()
    assert len(y) == module.HELD_OUT
    return x_train, x, y


def assert_kept(found, expected, y, bits):
    """Compare two arrays of classes with the right ones."""
    lost = np.mean(expected == y) - np.mean(found == y)
    assert lost <= max(LOST[bits], 1 / len(y)) + 1e-9
    assert np.mean(expected == y) > 0.95


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_they_are_small_and_tell_nothing_of_the_machine_they_were_made_on(path):
    data = path.read_bytes()
    assert len(data) < 1_000_000
    assert not any(word in data for word in (b"/work", b"/home", b"/root", b"site-packages"))
    onnx.checker.check_model(str(path), full_check=path.stem != "digits_mlp")


@pytest.mark.parametrize("bits", LOST)
def test_a_perceptron_of_scikit_learn(digits, bits):
    x_train, x, y = digits
    path = MODELS / "digits_mlp.onnx"
    imported = import_model(path)
    expected = answers(path, x)
    scores = compile_model(path, calibration=x_train[:300], weight_bits=bits).run(x)
    assert_kept(scores.argmax(-1), expected["label"], y, bits)
    probabilities = imported.finish(imported.network.run(x))
    assert np.abs(probabilities - expected["probabilities"]).max() < 1e-5
    assert imported.notes[0].endswith("one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")


def test_the_perceptron_fits_the_smallest_board_on_six_lanes_and_more(digits):
    x_train, x, y = digits
    path, board = MODELS / "digits_mlp.onnx", BOARDS["icebreaker"]
    widths = {"weight_bits": 8, "rate_bits": 8, "potential_bits": 16}
    design = compile_model(path, calibration=x_train[:300], board=board, lanes=8, **widths)
    assert design.folding.lanes >= 6
    assert fit(design.chip, board).fits
    assert choose(design.chip, board) == Choices()  # every product has a hard multiplier
    assert_kept(design.run(x).argmax(-1), answers(path, x)["label"], y, 8)


@pytest.mark.parametrize("bits", LOST)
def test_an_elman_network_of_pytorch_reads_row_by_row(digits, bits):
    x_train, x, y = (a.reshape(-1, 8, 8) if a.ndim == 2 else a for a in digits)
    path = MODELS / "digits_rnn.onnx"
    (layer, _) = import_model(path).network.layers
    assert layer.recurrent is not None
    design = compile_model(path, calibration=x_train[:300].swapaxes(0, 1), weight_bits=bits)
    scores = design.run(x.swapaxes(0, 1))[-1]
    expected = answers(path, x)["scores"]
    assert_kept(scores.argmax(-1), expected.argmax(-1), y, bits)


@pytest.mark.parametrize("bits", LOST)
def test_a_perceptron_quantised_by_onnxruntime(digits, bits):
    """Every answer is within one output step, whatever bits of a weight from 8 on."""
    x_train, x, y = digits
    path = MODELS / "digits_qdq.onnx"
    design = compile_model(path, calibration=x_train[:300], weight_bits=bits)
    expected = answers(path, x)["scores"]
    found = design.run(x)
    assert np.abs(found - expected).max() <= output_step(path)
    assert_kept(found.argmax(-1), expected.argmax(-1), y, bits)
    assert [layer.rate_format.width for layer in design.network.layers[:2]] == [9, 9]
    assert any("rounding of the outputs to steps of" in note for note in design.report["notes"])


def output_step(path):
    """Scale of the last DequantizeLinear."""
    graph = onnx.load(path).graph
    last = next(node for node in graph.node if node.output[0] == graph.output[0].name)
    (scale,) = (t for t in graph.initializer if t.name == last.input[1])
    return float(onnx.numpy_helper.to_array(scale))


@pytest.mark.parametrize("bits", LOST)
def test_leaky_integrators_on_japanese_vowels(bits):
    task = load("japanese_vowels")
    x, y = task.x[:, task.test], task.y[task.test]
    heard = np.arange(len(x))[:, None] < task.lengths[task.test]
    path = MODELS / "japanese_vowels.onnx"
    assert max(layer.tau_m.max() for layer in import_model(path).network.layers) > 2
    expected = answers(path, x.astype(np.float32))["y"]
    design = compile_model(path, calibration=task.x[:, task.train], weight_bits=bits)
    classes = [(a * heard[..., None]).sum(0).argmax(-1) for a in (design.run(x), expected)]
    assert_kept(*classes, y, bits)


@pytest.mark.skipif(not os.environ.get("VLE_SOAK"), reason="trains for a quarter of a minute")
def test_the_script_makes_them_anew(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "ready_models.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=600)
    made = sorted(tmp_path.iterdir())
    assert [path.stem for path in made] == ["digits_mlp", "digits_qdq", "digits_rnn"]
    for path in made:
        known = import_model(MODELS / path.name).network.layers
        sizes = [(a.inputs, a.outputs) for a in known]
        assert sizes == [(a.inputs, a.outputs) for a in import_model(path).network.layers]
