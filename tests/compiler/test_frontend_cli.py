"""What the front end finds reaches the user of `vle-compile`: notes, host steps, refusals."""

import json
from pathlib import Path

import pytest
from corpus import CASES
from onnx_models import chain, f4, node

from vle.compiler import Design
from vle.compiler.cli import main

MODELS = Path(__file__).parents[2] / "examples" / "models"


@pytest.fixture
def compiled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments), "--no-verilog"])
        return left.value.code, *capsys.readouterr()

    return run


def test_the_report_says_what_is_left_to_the_host(tmp_path, compiled):
    code, out, err = compiled(MODELS / "digits_mlp.onnx", "-o", "bundle")
    assert (code, err) == (0, "")
    assert "left to the host: the class of the largest" in " ".join(out.split())
    report = json.loads((tmp_path / "bundle" / "report.json").read_text())
    assert report["host"] == [{"name": "Softmax", "labels": []}]
    assert report["notes"][0].startswith("output label left to the host")


def test_grids_of_a_quantised_file_reach_the_design(tmp_path, compiled):
    assert compiled(MODELS / "digits_qdq.onnx", "-o", "bundle", "--weight-bits", "8")[0] == 0
    layers = Design.load(tmp_path / "bundle").network.layers
    assert [layer.rate_format.width for layer in layers[:2]] == [9, 9]
    assert layers[0].x_format.f_bits == 3


def test_labels_are_named(tmp_path, compiled):
    (case,) = [c for c in CASES if c.name == "classifier, its label"]
    case.write(tmp_path / "m.onnx")
    assert compiled("m.onnx", "-o", "bundle")[0] == 0
    report = json.loads((tmp_path / "bundle" / "report.json").read_text())
    assert [step["name"] for step in report["host"]] == ["Softmax", "ArgMax", "Labels"]
    assert report["host"][-1]["labels"] == [0, 1, 2]


def test_a_refusal_is_one_line_and_nothing_is_written(tmp_path, compiled):
    swish = (node("Gemm", "x", f4(3, 5), f4(5)), node("HardSwish", "x", name="act"))
    chain(tmp_path / "m.onnx", ["n", 3], *swish)
    code, out, err = compiled("m.onnx", "-o", "bundle")
    assert (code, out) == (2, "")
    line = "vle-compile: error: m.onnx: node act (HardSwish): operator HardSwish cannot be mapped: "
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_identity_matrices_have_a_limit(tmp_path, compiled):
    chain(tmp_path / "m.onnx", ["n", 2**20], node("Tanh", "x"))
    code, _, err = compiled("m.onnx")
    assert code == 2
    assert "frame must be at most 4096 wide where no matrix acts on it, not 1048576" in err
