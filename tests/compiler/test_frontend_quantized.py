"""Models that are quantised already: what stays on its grid, and what the notes say of the rest."""

from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
from corpus.by_helper import _quant as write_quant
from onnx_models import chain, f4, node

from vle.compiler import compile_model
from vle.compiler.frontend import import_model
from vle.compiler.quantization.given import RateGrid
from vle.errors import CompileError

SCALE, POINT = np.float32(1 / 16), np.uint8(128)
DENSE = node("Gemm", "x", f4(6, 9), f4(9))
HEAD = node("MatMul", "x", f4(9, 4, seed=1))


def in_onnxruntime(path, x):
    """Answer of onnxruntime as the file says: its fused integer kernels round otherwise."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def pair(scale, point):
    """QuantizeLinear and what undoes it."""
    return node("QuantizeLinear", "x", scale, point), node("DequantizeLinear", "x", scale, point)


def on_grid(array, step):
    """Weights as a quantizer leaves them: whole steps of their row, 127 at most."""
    step = np.asarray(step, np.float32)
    return (np.clip(np.round(array / step), -127, 127) * step).astype(np.float32)


def model(path, hidden, *, inputs=SCALE, output=0.3, steps=None):
    """Two layers with all that a quantizer writes."""
    steps = np.linspace(0.01, 0.03, 9) if steps is None else steps
    first = node("Gemm", "x", on_grid(f4(6, 9), steps), f4(9))
    last = node("MatMul", "x", on_grid(f4(9, 4, seed=1), 0.02))
    end = pair(np.float32(output), np.uint8(100))
    return chain(path, ["n", 6], *pair(inputs, POINT), first, *hidden, last, *end)


RELU = pair(np.float32(0.0173), np.uint8(0))
LINEAR = pair(np.float32(0.031), np.uint8(77))
BENT = (node("Tanh", "x"), *pair(np.float32(1 / 128), np.uint8(128)))


@pytest.mark.parametrize("bits", [16, 12, 8])
@pytest.mark.parametrize("hidden", [RELU, LINEAR, BENT], ids=["relu", "linear", "tanh"])
def test_answers_are_within_one_output_step(tmp_path, hidden, bits):
    path = model(tmp_path / "m.onnx", hidden)
    x = f4(300, 6, seed=3)
    design = compile_model(path, calibration=x, weight_bits=bits)
    off = np.abs(design.run(x) - in_onnxruntime(path, x)) / 0.3
    assert off.max() <= 1
    assert off.max() > 0.4  # the rounding of the output is left out, and that is all
    (note,) = [note for note in design.report["notes"] if "left out" in note]
    assert "rounding of the outputs to steps of 0.3 left out" in note


@pytest.mark.parametrize("bits", [16, 8])
def test_weights_are_the_words_of_the_file(tmp_path, bits):
    steps = np.linspace(0.01, 0.03, 9)
    design = compile_model(model(tmp_path / "m.onnx", RELU), weight_bits=bits)
    words = np.round(on_grid(f4(6, 9), steps) / steps.astype(np.float32)).T
    found = design.network.layers[0].weight
    factor = np.abs(found).max(axis=1) / np.abs(words).max(axis=1)  # a grid may be coarser
    assert np.array_equal(found, words * factor[:, None])
    assert design.network.layers[0].rate_format.width == 9


def test_scales_that_do_not_fit_are_named(tmp_path):
    hidden = (node("Tanh", "x"), *pair(np.float32(0.007), np.uint8(128)))
    path = model(tmp_path / "m.onnx", hidden, inputs=np.float32(0.06))
    notes = " ".join(import_model(path).notes)
    for what in ("of the inputs to steps of 0.06", "of tanh to steps of 0.007", "of the outputs"):
        assert f"rounding {what}" in notes
    x = f4(300, 6, seed=3)
    off = np.abs(compile_model(path, calibration=x).run(x) - in_onnxruntime(path, x)) / 0.3
    assert off.max() <= 3


def test_outputs_end_where_those_of_the_file_do(tmp_path):
    path = model(tmp_path / "m.onnx", RELU, output=0.01)
    x = 3 * f4(300, 6, seed=3)
    found = compile_model(path, calibration=x).run(x)
    assert found.min() >= -1.0 - 1e-3
    assert found.max() <= 1.55 + 1e-3
    assert np.abs(found - in_onnxruntime(path, x)).max() <= 0.01


def test_qonnx_quant(tmp_path):
    write_quant(tmp_path / "m.onnx")
    imported = import_model(tmp_path / "m.onnx")
    assert imported.inputs == RateGrid(5, -128, 127)
    assert imported.grids[0].rate == RateGrid(4, -128, 127)
    x = f4(300, 3, seed=3)
    found = compile_model(imported, calibration=x).run(x)
    expected = in_onnxruntime(tmp_path / "m.onnx", x)
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max() + 1 / 16


def test_integers_in_and_out(tmp_path):
    """An input of uint8 is what its DequantizeLinear makes of it; integers out are noted."""
    first = node("DequantizeLinear", "x", SCALE, POINT)
    last = node("QuantizeLinear", "x", np.float32(0.25), np.uint8(100))
    path = chain(tmp_path / "m.onnx", ["n", 6], first, DENSE, last, kind=2)
    x = np.random.default_rng(0).integers(0, 256, (50, 6)).astype(np.uint8)
    imported = import_model(path)
    expected = in_onnxruntime(path, x).astype(float)
    found = imported.network.run(x) / 0.25 + 100
    assert np.abs(np.clip(found, 0, 255) - expected).max() <= 0.51
    assert imported.notes[0] == "outputs are real numbers y: 'v2' is y / 0.25 + 100"


QUANT = partial(node, "Quant", "x", domain="qonnx.custom_op.general")


@pytest.mark.parametrize(
    ("nodes", "rule"),
    [
        (pair(f4(6) ** 2 + np.float32(0.1), np.zeros(6, "u1")), "input 1 must be one number"),
        (pair(np.float32(0), POINT), "scale must be positive and finite, not 0"),
        (pair(np.float32(np.nan), POINT), "scale must be positive and finite, not nan"),
        ((pair(SCALE, POINT)[0], pair(SCALE * 2, POINT)[1]), "must be those of the QuantizeLinear"),
        ((pair(SCALE, np.int8(3))[0], node("Relu", "x")), "must not compute with integers|valid"),
    ],
)
def test_what_is_refused(tmp_path, nodes, rule):
    path = chain(tmp_path / "m.onnx", ["n", 6], *nodes, DENSE)
    with pytest.raises(CompileError, match=rule):
        import_model(path)


@pytest.mark.parametrize(
    ("quant", "rule"),
    [
        (QUANT(SCALE, np.float32(3), np.float32(8)), "zeropt must be 0, not 3"),
        (QUANT(SCALE, np.float32(0), np.float32(8), rounding_mode="FLOOR"), "must be ROUND"),
    ],
)
def test_what_is_refused_of_qonnx(tmp_path, quant, rule):
    function = onnx.FunctionProto(name="Quant", domain="qonnx.custom_op.general")
    function.opset_import.extend([onnx.helper.make_opsetid("", 21)])
    path = chain(tmp_path / "m.onnx", ["n", 6], quant, DENSE, functions=[function])
    with pytest.raises(CompileError, match=rule):
        import_model(path)


def test_grids_that_no_word_holds():
    with pytest.raises(ValueError, match="grid must be of 3 to 18 bits"):
        RateGrid(0, -(2**20), 2**20)
    with pytest.raises(ValueError, match="grid must be of 3 to 18 bits"):
        RateGrid(0, 3, 3)
