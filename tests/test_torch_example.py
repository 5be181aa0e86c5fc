"""The example of training in torch runs, and what docs/torch.md shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*arguments, cwd=ROOT):
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        check=False,
        text=True,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example(tmp_path):
    run("examples/torch_training.py", "--steps", 6, "--out", tmp_path)
    figures = json.loads((tmp_path / "torch.json").read_text())
    assert figures["cost_after"] < 0.6 * figures["cost_before"]
    assert figures["cost_after_exact"] < 0.6 * figures["cost_before"]
    assert figures["largest_difference"] < 100 * figures["output_word"]
    assert figures["cycles_per_step"] >= 4
    assert (tmp_path / "torch.png").stat().st_size > 20_000


def test_the_programs_of_the_document(tmp_path):
    text = (ROOT / "docs" / "torch.md").read_text()
    programs = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(programs) >= 2
    run("-c", "\n".join(programs), cwd=tmp_path)
    assert (tmp_path / "trained.onnx").exists()
