"""`vle-run`: answers in a file, figures on the terminal, one line for what cannot be done."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from compiled_chip import StillChip
from link_device import LinkDevice
from serial_ports import Port

from vle.compiler import compile_model
from vle.errors import TransportError
from vle.host import cli
from vle.sim import Layer, Network


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rng = np.random.default_rng(4)
    layer = Layer(rng.normal(size=(3, 2)), np.zeros(3), 2.0, 1.0, "tanh")
    design = compile_model(Network((layer,), dt=0.5), input_range=(-1.0, 1.0), lanes=2)
    folder = tmp_path_factory.mktemp("run") / "bundle"
    design.save(folder)
    return design, folder


@pytest.fixture
def port(made):
    with Port(LinkDevice(StillChip(made[0].chip))) as opened:
        yield opened


@pytest.fixture
def data(tmp_path):
    x = np.random.default_rng(1).uniform(-1, 1, (600, 2, 2))
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy", x


def run(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    return left.value.code or 0, out, err


@pytest.fixture(autouse=True)
def _registers(monkeypatch):
    """A toy chip has no counters."""
    monkeypatch.setattr("vle.host.device.Device.saturation", lambda self: np.zeros((1, 3), int))


def test_answers_are_written(made, port, data, tmp_path, capsys):
    out = tmp_path / "y.npy"
    device = f"serial:{port.path}"
    code, said, wrong = run(capsys, made[1], data[0], "-o", out, "--device", device)
    assert (code, wrong) == (0, "")
    assert np.array_equal(np.load(out), made[0].run(data[1]))
    assert "steps per second" in said
    assert said.split()[-2:] == ["output", str(out)]
    code, said, _ = run(capsys, made[1], data[0], "--device", device, "--json", "--aligned")
    facts = json.loads(said)
    assert (code, facts["steps"], facts["inputs_clamped"]) == (0, 1200, 0)
    assert facts["steps_per_second"] > 0
    assert run(capsys, made[1], data[0], "--device", device, "-q")[:2] == (0, "")


def test_what_cannot_be_done_is_one_line(made, port, data, tmp_path, capsys):
    out, path = tmp_path / "y.npy", data[0]
    flat, text = tmp_path / "flat.npy", tmp_path / "text.npy"
    np.save(flat, np.zeros(4))
    text.write_text("0, 1\n")
    wide = tmp_path / "wide.npy"
    np.save(wide, np.zeros((4, 5)))
    device = ("--device", f"serial:{port.path}")
    for arguments, rule in (
        ((tmp_path, path, *device), "has no design.json"),
        ((made[1], path, *device, "-o", "/dev/null"), "OUT must be a file, or nothing yet"),
        ((made[1], tmp_path / "none.npy", *device), "DATA must be an array saved by numpy.save"),
        ((made[1], text, *device), "text.npy: DATA must be an array saved"),
        ((made[1], flat, *device), "DATA must be of shape (T, inputs)"),
        ((made[1], wide, *device), "x must be of shape (T, 2)"),
        ((made[1], path, "--device", "usb:1"), "usb: is not supported"),
        ((made[1], path, "--device", "serial:/dev/nowhere"), "cannot be opened"),
        ((made[1], path, *device, "-o", tmp_path / "no" / "y.npy"), "its folder must be there"),
        ((made[1], path, "--program"), "must have a bitstream"),
        ((made[1], path), "must be a bundle with Verilog, but has no top.v"),
        ((made[1],), "Missing argument 'DATA'"),
        ((made[1], path, "--loud"), "No such option"),
    ):
        code, said, wrong = run(capsys, "-o", out, *arguments)
        assert (code, said) == (2, ""), (rule, wrong)
        assert wrong.startswith("vle-run: error: ")
        assert rule in wrong
        assert wrong.count("\n") == 1
    assert list(tmp_path.glob("*y.npy*")) == []


@pytest.mark.parametrize("error", [TransportError("the port is gone"), KeyboardInterrupt()])
def test_nothing_half_written_stays(made, port, data, capsys, error):
    """Where the run fails, and where writing does: the file of before is as it was."""
    tmp_path, monkeypatch = data[0].parent, pytest.MonkeyPatch
    out = tmp_path / "y.npy"
    out.write_bytes(b"before")

    def fails(*_, **__):
        raise error

    before = sorted(tmp_path.iterdir())
    arguments = (made[1], data[0], "-o", out, "--device", f"serial:{port.path}")
    for place in ("vle.host.device.Device.run", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr("vle.host.open.remember_bundle", lambda *_: None)
            patch.setattr(place, fails)
            code, said, wrong = run(capsys, *arguments)
        interrupted = isinstance(error, KeyboardInterrupt)
        assert (code, said) == (130 if interrupted else 2, "")
        assert len(wrong.split("\n")) == 2 + interrupted  # click ends the line of a ^C
        assert out.read_bytes() == b"before"
        assert sorted(tmp_path.iterdir()) == before


def test_the_rate_of_a_line_is_an_option(made, data, capsys):
    folder, path = made[1], data[0]
    with Port(LinkDevice(StillChip(made[0].chip)), baud=230_400) as slow:
        at = ("--device", f"serial:{slow.path}", "--baud", 230_400)
        code, out, err = run(capsys, folder, path, *at, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["device"] == f"{at[1]}?baud=230400"
    for given in ((), ("--device", f"sim:{folder}"), ("--device", f"{at[1]}?baud=9600")):
        code, _, err = run(capsys, folder, path, *given, "--baud", 230_400)
        assert (code, err) == (2, "vle-run: error: --baud must go with --device serial:PORT\n")


def test_the_board_is_programmed_before(made, port, data, capsys, monkeypatch):
    tmp_path = data[0].parent
    tool, folder = tmp_path / "loader", tmp_path / "board"
    tool.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/words\necho 50.0%; exit ${{FAILS:-0}}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("OPENFPGALOADER", str(tool))
    monkeypatch.setenv("VLE_CACHE", str(tmp_path / "cache"))
    shutil.copytree(made[1], folder)
    plain = json.loads((folder / "design.json").read_text())
    (folder / "b.bit").write_bytes(b"bits")
    plain["files"]["b.bit"] = hashlib.sha256(b"bits").hexdigest()
    plain["board"] = {"name": "b", "bitstream": "b.bit", "loader": "l", "baud": 1_000_000}
    (folder / "design.json").write_text(json.dumps(plain))
    device = ("--device", f"serial:{port.path}", "--program", "--json")
    code, said, _ = run(capsys, folder, data[0], *device)
    assert (code, json.loads(said)["steps"]) == (0, 1200)
    assert (tmp_path / "words").read_text().split() == ["--board", "l", str(folder / "b.bit")]
    monkeypatch.setenv("FAILS", "1")
    code, said, wrong = run(capsys, folder, data[0], *device)
    assert (code, said) == (2, "")
    assert "could not program b" in wrong


def test_progress_is_shown_where_somebody_watches(made, port, data):
    master, slave = pty.openpty()
    program = "import numpy as np; from vle.host import cli; from vle.host.device import Device;"
    program += "Device.saturation = lambda self: np.zeros(1); cli.main()"
    words = [made[1], data[0], "--device", f"serial:{port.path}", "--json"]
    done = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # the program has ended
        pass
    out, _ = done.communicate(timeout=60)
    os.close(master)
    assert done.returncode == 0, shown
    assert json.loads(out)["steps"] == 1200
    assert b"running" in shown
    assert b"%" in shown


def test_the_script_is_installed():
    (script,) = entry_points(group="console_scripts", name="vle-run")
    assert script.value == "vle.host.cli:main"
