"""docs/nir.md says what the code does, and its commands and programs run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nir
import numpy as np
from nir_graphs import affine, entry, exit_, graph, leaky, linear

from vle.compiler.frontend.nir.source import REFUSED, SUPPORTED

TEXT = (Path(__file__).parents[2] / "docs" / "nir.md").read_text()


def test_the_tables_are_those_of_the_code():
    first, second = (
        dict(re.findall(r"^\| (\w+) \| (.*) \|$", part, re.M))
        for part in TEXT.split("## What goes out")[0].split("Everything else is refused")
    )
    assert first == {"node": "becomes", **SUPPORTED}
    assert second == {"node": "why it cannot be mapped", **REFUSED}


def test_the_commands_and_programs_run(tmp_path):
    rng = np.random.default_rng(0)
    nodes = {
        "in": entry(3),
        "a": affine(rng, 4, 3),
        "v": leaky(rng, 4),
        "r": linear(rng, 4, 4, 0.5),
    }
    nodes["out"] = exit_(4)
    nir.write(tmp_path / "graph.nir", graph(nodes, "in>a>v>out", "v>r>v"))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    settings = {"cwd": tmp_path, "env": {**os.environ, "PATH": path}, "capture_output": True}
    commands = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    programs = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    assert len(commands) == len(programs) == 1
    for arguments in (
        ["/bin/sh", "-c", commands[0]],
        [sys.executable, "-W", "error", "-c", programs[0]],
    ):
        done = subprocess.run(arguments, check=False, text=True, **settings)
        assert done.returncode == 0, done.stderr
    notes, error, *_ = done.stdout.splitlines()
    assert notes == "()"
    assert float(error) < 1e-3
    assert (tmp_path / "build" / "from_nir" / "top.v").exists()
