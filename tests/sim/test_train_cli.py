import json

import numpy as np
import pytest

from vle.sim.network import Network
from vle.sim.train import checkpoint, cli
from vle.sim.train.trainer import Trainer

QUICK = ["lagline", "--epochs", "2", "--batch", "20"]


def run(arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    return stopped.value.code


def test_a_run_writes_model_curve_report_and_checkpoint(tmp_path, capsys):
    assert run([*QUICK, "--json", "--out", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["figure"] == "normalized rms error"
    assert len(report["history"]) == 2
    assert Network.load(tmp_path / "model.onnx").inputs == 1
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    names = {"model.onnx", "curve.png", "report.json", "checkpoint.npz"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_ctrl_c_leaves_a_checkpoint_to_resume_from(tmp_path, capsys, monkeypatch):
    epochs = Trainer.epochs

    def interrupted(self, progress=None):
        for done in epochs(self, progress):
            yield done
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "epochs", interrupted)
    assert run([*QUICK, "-q", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err.strip().endswith("interrupted; go on with --resume")
    assert not (tmp_path / "model.onnx").exists()
    monkeypatch.undo()
    assert run(["--resume", str(tmp_path / "checkpoint.npz"), "-q"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    resumed = json.loads((tmp_path / "report.json").read_text())
    whole_folder = tmp_path / "whole"
    assert run([*QUICK, "--json", "--out", str(whole_folder)]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (tmp_path / "model.onnx").read_bytes() == (whole_folder / "model.onnx").read_bytes()
    assert resumed["history"] == whole["history"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "task must be one of"),
        (["mnist2d"], "task must be one of"),
        (["lagline", "--learning", "magic"], "learning must be one of"),
        (["lagline", "--widths", "5y3"], "--widths must be like"),
        (["lagline", "--epochs", "zero"], "not a valid integer"),
        (["lagline", "--rate", "-1"], "rate must be positive"),
        (["lagline", "--flag"], "No such option"),
        (["lagline", "--out", "/dev/null/x"], "Not a directory"),
        (["--resume", "/no/such/file.npz"], "No such file"),
        (["lagline", "--resume", "x.npz"], "without a task"),
        (["lagline", "--rate", "1e30", "--epochs", "2", "-q"], "cost must stay finite"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.strip().splitlines()) == 1
    assert words in output.err


def test_a_damaged_checkpoint_is_one_line_and_exit_code_2(tmp_path, capsys):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, [np.zeros(1000)], {"recipe": {}, "history": []})
    damaged = bytearray(path.read_bytes())
    damaged[250] ^= 1  # within the record
    path.write_bytes(damaged)
    assert run(["--resume", str(path)]) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert "must be a whole checkpoint of vle-train" in error
    checkpoint.save(path, [], {"history": []})
    assert run(["--resume", str(path)]) == 2
    assert "its record has no recipe" in capsys.readouterr().err


def test_help_names_the_tasks(capsys):
    assert run(["--help"]) == 0
    assert "japanese_vowels" in capsys.readouterr().out
