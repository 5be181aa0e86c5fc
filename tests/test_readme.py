"""The commands and programs of the README run, in its order, and do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
ENTIRE = ("make test", "make lint", "make soak", "make bench")  # would run this test again


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line not in ENTIRE]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    beside = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join((beside, os.environ["PATH"])), "COLUMNS": "100"}


def test_commands_and_programs(environment):
    assert "make sim" in COMMANDS
    assert len(COMMANDS) >= 2
    for command in COMMANDS:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            **{"cwd": ROOT, "env": environment, "capture_output": True, "text": True},
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    programs = blocks("python")
    assert len(programs) >= 2
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            **{"cwd": ROOT, "env": environment, "capture_output": True, "text": True},
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
        if "open_device" in program:
            assert done.stdout.split()[0] == "0", done.stdout


def test_documents_are_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / link).exists(), link
