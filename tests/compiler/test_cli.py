"""`vle-compile`: one line for bad input, exit code 2, nothing half-written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx_models import chain, f4, node

from vle.compiler import Design, compile_model
from vle.compiler.cli import main

BUILD = ("--board", "icebreaker", "--bitstream")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def model(tmp_path):
    nodes = (node("Gemm", "x", f4(3, 5), f4(5)), node("Tanh", "x"), node("MatMul", "x", f4(5, 2)))
    return chain(tmp_path / "m.onnx", ["n", 3], *nodes)


@pytest.fixture
def compiled(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


def assert_refused(result, text, here):
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("vle-compile: error: ")
    assert text in err
    assert err.count("\n") == 1
    assert list(here.iterdir()) == []


# What works


def test_a_bundle_and_its_report(compiled, model, here):
    code, out, err = compiled(model, "--no-verilog", "-o", "some/bundle", "--lanes", 4)
    assert (code, err) == (0, "")
    assert (here / "some" / "bundle" / "design.json").is_file()
    assert [path.name for path in (here / "some").iterdir()] == ["bundle"]
    for text in ("layers", "engines", "clock cycles per step", "-1..1", "some/bundle"):
        assert text in out
    design = Design.load(here / "some" / "bundle")
    x = np.clip(f4(20, 3), -1, 1)
    assert np.abs(design.run(x) - design.reference.run(x)).max() < 1e-2


def test_verilog_is_written_unless_told_otherwise(compiled, model, here):
    assert compiled(model, "-q", "--lanes", 2, "-o", "out") == (0, "", "")
    assert "endmodule" in (here / "out" / "top.v").read_text()


def test_a_goal_instead_of_bits(compiled, model, tmp_path, here):
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", Design.load(_bundle(compiled, model)).reference.run(x).argmax(-1))
    given = ["--no-verilog", "--calibration", tmp_path / "x.npy"]
    code, out, err = compiled(model, *given, "--max-error", 0.05, "--lanes", 20)
    assert (code, err) == (0, "")
    for text in ("which layer hurts", "asked for", "error at most 0.05", "reached"):
        assert text in out
    labels = ["--target-accuracy", 0.95, "--labels", tmp_path / "y.npy"]
    code, out, err = compiled(model, *given, *labels, "--json")
    assert json.loads(out)["search"]["reached"]["accuracy"] >= 0.95
    code, out, err = compiled(model, *given, "--weight-bits", "3,5", "--no-sensitivity")
    assert "which layer hurts" not in out
    assert "3 bit" in out
    assert "5 bit" in out


def _bundle(compiled, model):
    compiled(model, "--no-verilog", "-q", "-o", "plain")
    return "plain"


def test_json_alone_and_quiet(compiled, model, here):
    code, out, err = compiled(model, "--no-verilog", "--json", "--input-range", -2, 2)
    assert (code, err) == (0, "")
    report = json.loads(out)
    for name in ("cycles_per_step", "latency_steps", "multipliers", "memory_bits", "engines"):
        assert name in report
    assert (here / "build" / "m" / "design.json").is_file()
    assert compiled(model, "--no-verilog", "-q") == (0, "", "")


def test_calibration_as_npy_and_npz(compiled, model, tmp_path):
    x = f4(50, 2, 3)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", anything=x)
    np.savez(tmp_path / "many.npz", x=x, y=x)
    reports = [
        compiled(model, "--no-verilog", "--json", "--calibration", tmp_path / name)[1]
        for name in ("x.npy", "one.npz", "many.npz")
    ]
    assert reports[0] == reports[1] == reports[2]
    assert json.loads(reports[0])["calibration"]["source"] == "data"


def test_like_takes_formats_and_engines_over(compiled, model, tmp_path, here):
    arguments = (model, "--no-verilog", "-q")
    assert compiled(*arguments, "--lanes", 3, "--input-range", -4, 4, "-o", "first")[0] == 0
    assert compiled(*arguments, "--like", "first", "-o", "again") == (0, "", "")
    first, again = Design.load(here / "first"), Design.load(here / "again")
    assert again.chip == first.chip
    assert again.chip != compile_model(model).chip
    other = chain(tmp_path / "o.onnx", ["n", 3], node("MatMul", "x", f4(3, 5)))
    code, _, err = compiled(other, "--like", "first")
    assert code == 2
    assert "o.onnx: layers must be those of the design to be like" in err
    code, _, err = compiled(model, "--like", "nowhere")
    assert code == 2
    assert "nowhere/design.json: is missing from the bundle" in err


def test_notes_of_the_front_end_are_shown(compiled, tmp_path):
    nodes = (node("Gemm", "x", f4(3, 5)), node("Softmax", "x", name="sm"))
    path = chain(tmp_path / "s.onnx", ["n", 3], *nodes)
    _, out, _ = compiled(path, "--no-verilog")
    assert "note: sm (Softmax) is left to the host" in out
    assert "inputs are taken to be within -1..1" in out.replace("\n", " ")


def test_an_earlier_bundle_is_replaced_and_nothing_else(compiled, model, here):
    (here / "out").mkdir()
    assert compiled(model, "--no-verilog", "-q", "-o", "out")[0] == 0
    assert compiled(model, "--no-verilog", "-q", "-o", "out")[0] == 0
    (here / "out" / "notes.txt").touch()
    code, _, err = compiled(model, "--no-verilog", "-q", "-o", "out")
    assert code == 2
    assert "output folder must be new, empty or a bundle and nothing else, but holds notes" in err
    assert (here / "out" / "notes.txt").exists()
    assert [path.name for path in here.iterdir()] == ["out"]


def test_a_failure_leaves_the_earlier_bundle(compiled, model, here):
    assert compiled(model, "--no-verilog", "-q", "-o", "out")[0] == 0
    before = (here / "out" / "design.json").read_bytes()
    assert compiled(model, "--no-verilog", "-o", "out", "--lanes", 0)[0] == 2
    assert (here / "out" / "design.json").read_bytes() == before
    assert [path.name for path in here.iterdir()] == ["out"]


def test_help_answers(compiled):
    code, out, _ = compiled("--help")
    assert code == 0
    assert "--calibration" in out
    assert "ulx3s-85f" in out


# Bad input


def test_models_that_cannot_come_in(compiled, tmp_path, here):
    assert_refused(compiled("none.onnx"), "none.onnx: there is no such file", here)
    assert_refused(compiled(tmp_path), "must be an ONNX file, not a folder", here)
    (tmp_path / "text.onnx").write_text("hello")
    assert_refused(compiled(tmp_path / "text.onnx"), "must be an ONNX model", here)
    odd = chain(tmp_path / "odd.onnx", ["n", 3], node("Elu", "x", name="odd"))
    rule = "odd.onnx: node odd (Elu): operator Elu cannot be mapped; supported: "
    assert_refused(compiled(odd), rule, here)


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        (np.zeros((5, 4)), "calibration must be of shape (T, 3) or (T, batch, 3), not (5, 4)"),
        (np.zeros(3), "calibration must be of shape (T, 3)"),
        (np.zeros((0, 3)), "calibration must have at least one frame"),
        (np.full((5, 3), np.nan), "calibration must be finite, not nan"),
        (np.full((5, 3), -np.inf), "calibration must be finite, not -inf"),
        (np.zeros((5, 3), complex), "calibration must be real numbers, not complex128"),
        (np.array([["a"]]), "calibration must be real numbers"),
        (np.array([[None]]), "must be calibration data as .npy or .npz"),
    ],
)
def test_calibration_that_does_not_fit(compiled, model, tmp_path, here, array, rule):  # noqa: PLR0917
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    result = compiled(model, "--calibration", tmp_path / "x.npy")
    assert_refused(result, f"x.npy: {rule}", here)


def test_calibration_that_is_no_array(compiled, model, tmp_path, here):
    path = tmp_path / "x.npy"
    assert_refused(compiled(model, "--calibration", path), "x.npy: there is no such file", here)
    for content in (b"", b"hello", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00v\x00{'descr'"):
        path.write_bytes(content)
        result = compiled(model, "--calibration", path)
        assert_refused(result, "x.npy: must be calibration data as .npy or .npz", here)
    assert_refused(compiled(model, "--calibration", tmp_path), "must be calibration data", here)
    np.savez(tmp_path / "x.npz", a=np.zeros((2, 3)), b=np.zeros((2, 3)))
    result = compiled(model, "--calibration", tmp_path / "x.npz")
    assert_refused(result, "must hold one array, or one named 'x', not ['a', 'b']", here)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--rate", "0.1"], "--learn-tau, --rate, --weight-range and --seed need --learning"),
        (["--learning", "--rate", "-1"], "rate must be 0 or more"),
        (["--learning", "--weight-range", "0"], "weight_range must be positive"),
        (["--bitstream"], "--bitstream needs --board"),
        (["--seeds", "3", "--board", "icebreaker"], "--seeds needs --bitstream"),
        (["--clock", "30"], "--clock needs --bitstream"),
        ([*BUILD, "--clock", "8"], "clock must be 12 MHz or more, not 8 MHz"),
        ([*BUILD, "--clock", "-1"], "clock must be positive, not -1 MHz"),
        ([*BUILD, "--seeds", "0"], "seeds must be 1..64, not 0"),
        ([*BUILD, "--link", "can"], "link must be one of uart, spi, not 'can'"),
        (["--board", "none.toml", "--bitstream"], "none.toml: cannot be read: No such file"),
        (["--input-range", "1", "-1"], "input"),
        (["--input-range", "nan", "1"], "input"),
        (["--lanes", "0"], "lanes must be 1 or more, not 0"),
        (["--lanes", "many"], "'many' is not a valid integer"),
        (["--weight-bits", "1"], "weight"),
        (["--weight-bits", "99"], "weight"),
        (["--weight-bits", "8,x"], "'8,x' is neither a number nor numbers separated by commas"),
        (["--weight-bits", "8,8,8"], "weight bits must be one number or 2, one per layer"),
        (["--rate-bits", "99"], "rate bits must be in 3..18, not 99"),
        (["--potential-bits", "99"], "potential bits must be in 8..32, not 99"),
        (["--max-error", "0"], "max_error must be above 0, not 0"),
        (["--max-error", "0.1", "--weight-bits", "8"], "not be given with --max-error, which"),
        (["--fit", "--weight-bits", "8"], "--weight-bits must not be given with --fit"),
        (["--fit"], "a goal to fit needs a board"),
        (["--target-accuracy", "0.9"], "--target-accuracy needs --labels"),
        (["--labels", "none.npy"], "--labels needs --target-accuracy"),
        (["--target-accuracy", "0.9", "--labels", "none.npy"], "none.npy: there is no such file"),
        (["--max-error", "0.1", "--learning"], "learning must not be given with a goal"),
        (["--board", "toaster"], "board must be one of ulx3s-85f, icebreaker"),
        (["--nonsense"], "No such option"),
    ],
)
def test_options_out_of_range(compiled, model, here, arguments, rule):
    assert_refused(compiled(model, *arguments), rule, here)


def test_no_model(compiled, here):
    assert_refused(compiled(), "Missing argument 'MODEL'", here)


def test_a_network_that_does_not_fit_the_board(compiled, tmp_path, here):
    path = chain(tmp_path / "big.onnx", ["n", 400], node("MatMul", "x", f4(400, 400)))
    assert_refused(compiled(path, "--board", "icebreaker"), "big.onnx: ", here)


def test_an_output_that_cannot_be_written(compiled, model, tmp_path, here):
    (tmp_path / "file").touch()
    for output, rule in (
        (tmp_path / "file", "output must be a folder, not a file"),
        (tmp_path / "file" / "under", "output folder cannot be written: Not a directory"),
        ("/proc/nowhere/out", "output folder cannot be written"),
    ):
        assert_refused(compiled(model, "--no-verilog", "-o", output), rule, here)


def test_an_output_that_cannot_be_written_is_found_before_the_verilog(compiled, model, here):
    (here / "mine").mkdir()
    (here / "mine" / "thesis.tex").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vle.hw.verilog.generate", lambda chip: pytest.fail("generated"))
        code, _, err = compiled(model, "-o", "mine")
    assert (code, err.count("\n")) == (2, 1)


def test_an_error_while_writing_leaves_nothing(compiled, model, here, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = compiled(model, "--no-verilog", "-o", "deep/down/out")
    assert_refused(result, "No space left on device", here)


def test_a_bug_is_one_line_too_and_v_shows_the_traceback(compiled, model, here, monkeypatch):
    def bug(self, folder, **options):
        raise KeyError("oops")

    monkeypatch.setattr(Design, "save", bug)
    code, _, err = compiled(model)
    assert code == 1
    assert err == "vle-compile: error: KeyError: 'oops' (a bug of vle; -v shows the traceback)\n"
    code, _, err = compiled(model, "-v")
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("vle-compile: error: KeyError: 'oops'\n")
    monkeypatch.setattr("vle.compiler.compile.plan", lambda *_, **__: int("x"))
    code, _, err = compiled(model)
    assert (code, err.count("\n")) == (1, 1)
    assert "ValueError: invalid literal" in err
    assert "a bug of vle" in err
    assert list(here.iterdir()) == []


def test_v_shows_where_bad_input_was_found(compiled, here):
    code, _, err = compiled("none.onnx", "-v")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1] == "vle-compile: error: none.onnx: there is no such file"


def test_it_starts_without_what_it_does_not_need(model, here):
    """No JAX, no torch, no Amaranth; and within 5 CPU seconds."""
    code = (
        "import sys, resource\n"
        "from vle.compiler.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as left: assert left.code == 0\n"
        "heavy = {'jax', 'torch', 'amaranth', 'onnxruntime', 'scipy'} & set(sys.modules)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(sorted(heavy), used.ru_utime + used.ru_stime)\n"
    )
    arguments = [str(model), "--no-verilog", "-q"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", code, *arguments]
    out = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout
    heavy, seconds = out.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) < 5
