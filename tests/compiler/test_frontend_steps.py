"""Models of one step, whose states are inputs and outputs: as onnxruntime run step by step."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import f4

from vle.compiler import compile_model
from vle.compiler.frontend import import_model
from vle.errors import CompileError

W, REC, B = f4(3, 4), f4(4, 4, seed=1, scale=0.4), f4(4, seed=2)
K = np.float32([0.1, 0.25, 0.5, 1.0])
LEAKY = """m (float[n, 3] x, float[n, 4] u) => (float[n, 4] r, float[n, 4] u2) {
  i = MatMul (x, w) j = Add (i, b) d = Sub (j, u) s = Mul (d, k) u2 = Add (u, s) r = Tanh (u2) }"""
DIVIDED = """m (float[n, 3] x, float[n, 4] u) => (float[n, 4] r, float[n, 4] u2) {
  i = MatMul (x, w) d = Sub (i, u) a = Mul (d, dt) s = Div (a, tau) u2 = Add (s, u)
  r = Relu (u2) }"""
ELMAN = """m (float[n, 3] x, float[n, 4] h) => (float[n, 4] r, float[n, 4] h2) {
  i = MatMul (x, w) o = MatMul (h, rec) j = Add (i, o) a = Add (j, b) h2 = Tanh (a)
  r = Identity (h2) }"""
TWO = """m (float[n, 3] x, float[n, 4] h, float[n, 4] u)
    => (float[n, 4] r, float[n, 4] h2, float[n, 4] u2) {
  i = MatMul (x, w) o = MatMul (h, rec) j = Add (i, o) h2 = Tanh (j)
  c = MatMul (h2, rec) d = Sub (c, u) s = Mul (d, k) u2 = Add (u, s) r = Sigmoid (u2) }"""
GATED = """m (float[n, 3] x, float[n, 4] h) => (float[n, 4] r, float[n, 4] h2) {
  i = MatMul (x, w) z = Sigmoid (i) h2 = Mul (z, h) r = Identity (h2) }"""


def write(path, text, **arrays):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in arrays.items())
    for index, item in enumerate(model.graph.node):
        item.name = f"n{index}"
    onnx.save(model, path)
    return path


def stepped(path, x):
    """Answers of onnxruntime, its states carried on by hand from 0."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    states = [np.zeros((x.shape[1], 4), np.float32) for _ in names[1:]]
    answers = []
    for frame in x:
        answer, *states = session.run(None, dict(zip(names, [frame, *states], strict=True)))
        answers.append(answer)
    return np.array(answers)


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        (LEAKY, {"w": W, "b": B, "k": K}),
        (DIVIDED, {"w": W, "dt": np.float32(0.2), "tau": np.float32([0.4, 1, 2, 5])}),
        (ELMAN, {"w": W, "rec": REC, "b": B}),
        (TWO, {"w": W, "rec": REC, "k": K}),
    ],
    ids=["leaky", "dt and tau", "elman", "two layers"],
)
def test_it_runs_as_onnxruntime_step_by_step(tmp_path, text, arrays):
    path = write(tmp_path / "m.onnx", text, **arrays)
    x = f4(40, 3, 3, seed=5)
    imported = import_model(path)
    expected = stepped(path, x)
    assert np.abs(imported.network.run(x) - expected).max() < 1e-5
    assert np.abs(compile_model(path, calibration=x).run(x) - expected).max() < 5e-3
    assert imported.notes[0].startswith("the model is one step: ")
    assert imported.notes[0].endswith("each sequence starts from 0")


def test_time_constants_are_those_of_the_file(tmp_path):
    tau = np.float32([0.4, 1, 2, 5])
    path = write(tmp_path / "m.onnx", DIVIDED, w=W, dt=np.float32(0.2), tau=tau)
    (layer,) = import_model(path).network.layers
    assert np.allclose(layer.tau_m, tau / 0.2)
    assert np.allclose(layer.tau_r, 1)


def test_gates_are_refused(tmp_path):
    path = write(tmp_path / "m.onnx", GATED, w=W)
    with pytest.raises(CompileError, match=r"m\.onnx: node n2 \(Mul\): cannot be mapped: it joins"):
        import_model(path)
