"""Files of many producers: each compiles and agrees with onnxruntime, or is refused by name."""

import re
from collections import Counter

import numpy as np
import onnxruntime
import pytest
from corpus import CASES

from vle.compiler import compile_model
from vle.compiler.frontend import import_model
from vle.errors import CompileError

COMES_IN = [case for case in CASES if case.refused is None]
REFUSED = [case for case in CASES if case.refused is not None]
KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


def test_there_are_enough_of_both_kinds():
    assert len(CASES) >= 60
    assert len(set(map(str, CASES))) == len(CASES)
    assert len({case.producer for case in CASES}) >= 6
    assert 0.45 * len(CASES) <= len(REFUSED) <= 0.55 * len(CASES)
    assert min(Counter(case.producer for case in CASES).values()) >= 4


def inputs_of(session):
    """Random inputs: 6 frames, or 7 steps of 3 sequences, where the model leaves it open."""
    rng = np.random.default_rng(5)
    found = {}
    for given in session.get_inputs():
        known = {"T": 7, "batch": 3}
        shape = [n if isinstance(n, int) else known.get(n, 6) for n in given.shape]
        found[given.name] = rng.normal(size=shape).astype(KINDS[given.type])
    return found


def frames_of(inputs, layout):
    """Inputs as the chip takes them, `(T, inputs)` or `(T, batch, inputs)`."""
    if layout == "static":
        return np.concatenate([x.reshape(len(x), -1) for x in inputs.values()], axis=1)
    (x,) = inputs.values()
    return x.swapaxes(0, 1) if layout.startswith("batch") else x


def arranged(answer, layout):
    """Answers of the chip as the model gives them."""
    if layout.endswith("last"):
        return answer[-1]
    return answer.swapaxes(0, 1) if layout.startswith("batch") else answer


@pytest.mark.parametrize("case", COMES_IN, ids=str)
def test_it_compiles_and_agrees(tmp_path, case):
    path = tmp_path / "m.onnx"
    case.write(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = inputs_of(session)
    expected = session.run(None, inputs)[case.output]
    imported = import_model(path)
    x = frames_of(inputs, case.layout).astype(float)

    real = imported.finish(arranged(imported.network.run(x), case.layout))
    assert real.size == expected.size
    quantised = bool(imported.inputs) or any(g.weight_step is not None for g in imported.grids)
    tolerance = 0.03 if quantised else 1e-5
    spread = np.abs(expected).max()
    assert np.abs(real.ravel() - expected.ravel()).max() <= tolerance * spread

    design = compile_model(path, calibration=x)
    integers = imported.finish(arranged(design.run(x), case.layout))
    assert (
        np.abs(integers.ravel() - expected.ravel()).max() <= (0.03 if quantised else 5e-3) * spread
    )


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_it_is_refused_by_file_node_and_operator(tmp_path, case):
    path = tmp_path / "m.onnx"
    case.write(path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CompileError) as refusal:
        compile_model(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}: node ")
    assert "\n" not in text
    assert re.search(case.refused, text), text
    assert refusal.value.node is not None
    assert sorted(tmp_path.iterdir()) == before
