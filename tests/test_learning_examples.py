"""The examples of learning run, at a small size; `VLE_SOAK=1` runs their windows on Verilog too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "learning"
STEPS = {
    "lagline": 24_000,
    "lagnet": 20_000,
    "mackey_glass": 16_000,
    "drift": 24_000,
    "cues": 40 * 225,
    "mnist1d": 100 * 120,
}
FILES = {"mnist1d": "mnist_1d"}


def start(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = FOLDER / f"{FILES.get(name, name)}.py"
    return subprocess.run(
        [sys.executable, "-W", "error", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        env={**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
    )


def run(name: str, out: Path, *more: object) -> dict:
    done = start(name, "--seeds", 1, "--steps", STEPS[name], "--out", out, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}.json" in done.stdout
    assert (out / f"{name}.png").stat().st_size > 20_000
    figures = json.loads((out / f"{name}.json").read_text())
    assert figures["steps"] == STEPS[name]
    return figures


def test_lagline_finds_its_teacher(tmp_path):
    figures = run("lagline", tmp_path)
    start_error = max(
        abs(a / b - 1) for a, b in zip(figures["starts"][0], (1, 2, 1, 2), strict=True)
    )
    assert figures["worst_percent"] < 80 * start_error
    assert max(map(abs, figures["errors_percent"]["prospective"][0])) < 12


@pytest.mark.parametrize("name", ["lagnet", "mackey_glass"])
def test_integers_follow_float(name, tmp_path):
    figures = run(name, tmp_path)
    error = {key: found[0] for key, found in figures["error"].items()}
    assert error["integer"] < 1.25 * error["float64"]
    assert error["float64"] < error["readout alone"] < 1


def test_drift_is_won_back(tmp_path):
    figures = run("drift", tmp_path)
    for kind in ("sensor", "speakers"):
        found = {key: values[0] for key, values in figures[kind].items()}
        assert found["points_lost"] > 5
        assert found["accuracy_after"] > found["accuracy_drifted"] + 3
        assert found["percent_of_steps_labelled"] <= 50


def test_cues(tmp_path):
    figures = run("cues", tmp_path)
    assert all(40 < found[0] <= 100 for found in figures["accuracy_percent"].values())


def test_what_was_learned_is_read_back(tmp_path):
    back = run("mnist1d", tmp_path)["read_back"]
    assert back["recompiled_answers_differing"] == 0
    assert all(back["recompiled_layers_equal"])
    assert back["onnxruntime_largest_difference"] < 32 * back["output_word"]


def test_bad_input_is_one_line(tmp_path):
    done = start("cues", "--steps", 100, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("cues: error: steps must be at least 225")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not os.environ.get("VLE_SOAK"), reason="builds seven chips")
@pytest.mark.parametrize("name", STEPS)
def test_windows_on_the_verilog(name, tmp_path):
    found = run(name, tmp_path, "--chip", 200)["chip"]
    assert found
    assert all(one["equal"] and one["steps"] == 200 for one in found.values())
