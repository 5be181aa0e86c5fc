"""The way to a bitstream: with tools that only pretend, then one small chip with the real ones."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from test_board_files import OWN, Loop

from vle.compiler.planning.boards import described
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.choices import Choices
from vle.errors import CompileError
from vle.hw.build import flow, tools
from vle.hw.build.flow import build

FAKE = f"{sys.executable} {Path(__file__).with_name('fake_tools.py')}"


@pytest.fixture
def board(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    return described(str(path))


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """Tools that only pretend; where they work, and where their logs are kept."""
    for variable, tool in (("YOSYS", "synth"), ("NEXTPNR_ECP5", "place"), ("ECPPACK", "pack")):
        monkeypatch.setenv(variable, f"{FAKE} {tool}")
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "work"))
    monkeypatch.setenv("VLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_FMAX", "61.5,70,52")
    return tmp_path / "work"


def made(board, say=lambda _: None, **options):
    circuits = []

    def circuit(source):
        circuits.append(float(source.hz))
        return Loop(board, float(source.hz))

    found = build(circuit, BuildOptions(board, **options), Choices(), {"luts": 9}, say)
    return found, circuits


def test_the_fastest_seed_is_taken(board, pretended):
    found, circuits = made(board, seeds=3)
    assert found.data == b"seed 2 at 50 MHz"
    assert circuits == [50e6]
    assert (found.file, found.clock_hz, found.baud) == ("colorlight-i5.bit", 50_000_000, 115200)
    timing = found.timing
    assert [run["fmax_hz"] for run in timing["runs"]] == [61_500_000, 70_000_000, 52_000_000]
    assert (timing["median_fmax_hz"], timing["seed"], timing["tool"]) == (
        61_500_000,
        2,
        "nextpnr 9.9",
    )
    assert timing["critical_path"] == {"from": "a", "to": "b", "ns": 3.5, "routing_ns": 2.5}
    assert timing["resources"]["luts"] == {"used": 10, "available": 100, "predicted": 9}
    assert not any(pretended.iterdir())


def test_a_clock_that_no_seed_meets_is_lowered_to_one_that_is(board, pretended):
    found, circuits = made(board, seeds=3, clock_hz=90e6)
    assert circuits[0] == 90e6
    assert len(circuits) == 2
    assert 0.95 * 70e6 < circuits[1] <= 0.98 * 70e6
    assert found.clock_hz == round(circuits[1])
    assert found.timing["wanted_hz"] == 90_000_000
    assert found.timing["median_fmax_hz"] == 61_500_000  # of the clock that was asked for
    assert [run["seed"] for run in found.timing["runs"]] == [1, 2, 3, 2, 1]
    assert found.data.startswith(b"seed 2 at 68.")


def test_a_clock_that_is_never_met_ends(board, pretended, monkeypatch):
    monkeypatch.setattr(flow, "MARGIN", 1.5)
    monkeypatch.setattr(flow, "ATTEMPTS", 2)
    with pytest.raises(CompileError, match="no clock is met after 2 builds; the last reaches 70"):
        made(board, seeds=2, clock_hz=90e6)
    assert not any(pretended.iterdir())


FAILING = {
    "synth": ("yosys", "yosys-synthesis.log"),
    "place": ("nextpnr", "nextpnr-version.log"),
    "pack": ("packing", "packing-the-bitstream.log"),
}


@pytest.mark.parametrize("tool", FAILING)
def test_a_tool_that_fails_is_one_line(board, pretended, monkeypatch, tool):
    monkeypatch.setenv("FAKE_FAILS", tool)
    name, log = FAILING[tool]
    kept = pretended.parent / "cache" / "logs" / log
    with pytest.raises(CompileError) as failed:
        made(board, seeds=1)
    assert str(failed.value) == f"{name} failed: a wire is missing, in earnest; its log: {kept}"
    assert "all was well" in kept.read_text()
    assert not any(pretended.iterdir())


def test_an_interrupt_ends_the_tools(board, pretended, monkeypatch, tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    monkeypatch.setenv("FAKE_HANGS", "place")
    monkeypatch.setenv("FAKE_PIDS", str(pids))

    def interrupt():
        deadline = time.monotonic() + 60
        while not any(pids.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # what a shell starts in the background ignores the signal, and so would what it starts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            made(board)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert not any(pretended.iterdir())
    for path in pids.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)


def test_progress_says_what_is_at_work(board, pretended):
    said = []
    made(board, said.append, seeds=3)
    assert said[0] == "generating the circuit"
    assert any(text.startswith("yosys synthesis") for text in said)
    assert any("nextpnr seed 1" in text for text in said)


def test_what_does_not_fit_is_said_in_numbers():
    text = "Info: \t         ICESTORM_LC:   10207/   5280   193%\nInfo: \t ICESTORM_DSP: 7/ 8 87%\n"
    assert tools._overfull(text) == "10207 ICESTORM_LC of 5280"


def test_missing_packages_are_named(board, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "pyosys" or None)
    with pytest.raises(CompileError, match=r"needs the extra 'boards' .*: pyosys is missing"):
        made(board)
