"""Bundles: whole or not at all, the same bytes every time, and checked when read."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from nets import random_network, random_signal

from vle.compiler import Design, compile_model
from vle.compiler.bundle import files as bundle
from vle.compiler.bundle.bitstream import Bitstream
from vle.compiler.report.page import html_page
from vle.errors import CompileError


def make(seed=0, **options):
    rng = np.random.default_rng(seed)
    network = random_network(rng, [3, 6, 5, 2], recurrent=True, aligned=True)
    x = random_signal(rng, 50, 2, 3)
    return compile_model(network, calibration=x, lanes=4, **options), x


def test_a_bundle_brings_back_an_equal_design(tmp_path):
    design, x = make()
    design.save(tmp_path / "b")
    again = Design.load(tmp_path / "b")
    assert again == design
    assert again.report == design.report
    assert np.array_equal(again.run(x), design.run(x))
    assert again.cycles_per_step == design.cycles_per_step


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first, second = (bundle.contents(make()[0]) for _ in range(2))
    assert first == second
    assert set(first) == {
        "design.json",
        "params.npz",
        "report.json",
        "report.html",
        "vle_model.h",
    }
    assert bundle.contents(make(1)[0]) != first


@pytest.mark.parametrize("name", ["params.npz", "report.json", "design.json", "vle_model.h"])
def test_damage_is_found_and_named(tmp_path, name):
    make()[0].save(tmp_path)
    file = tmp_path / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CompileError, match=f"{name}: is damaged"):
        Design.load(tmp_path)
    file.unlink()
    with pytest.raises(CompileError, match=f"{name}: is missing"):
        Design.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sha256": 1}', "null"])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "design.json").write_text(text)
    with pytest.raises(CompileError, match=r"design\.json: is damaged"):
        Design.load(tmp_path)


def test_a_bundle_is_replaced_by_the_next(tmp_path):
    make()[0].save(tmp_path / "b")
    other, _ = make(1)
    other.save(tmp_path / "b")
    assert Design.load(tmp_path / "b") == other
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (None, "its design.json is missing"),
        ("{}", "its design.json is damaged"),
        ('{"files": {"thesis.tex": ""}}', "its design.json is damaged"),
        ("ours", "and nothing else, but holds thesis.tex"),
        ("another format", "its design.json is of another format"),
    ],
)
def test_what_is_not_a_bundle_alone_is_never_replaced(tmp_path, manifest, said):
    design, _ = make()
    if manifest == "ours":
        design.save(tmp_path)
    elif manifest == "another format":
        plain = {"format": "mine", "files": {"thesis.tex": ""}}
        text = json.dumps(plain, indent=1) + "\n"
        plain["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (tmp_path / "design.json").write_text(json.dumps(plain))
    elif manifest is not None:
        (tmp_path / "design.json").write_text(manifest)
    (tmp_path / "thesis.tex").write_text("years of work")
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(CompileError, match=f"must be new, empty or a bundle.*{said}"):
        design.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_links_and_folders_in_a_bundle_are_not_ours(tmp_path):
    design, _ = make()
    design.save(tmp_path)
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    with pytest.raises(CompileError, match=r"holds report\.html"):
        design.save(tmp_path)
    (tmp_path / "report.html").rmdir()
    (tmp_path / "report.html").symlink_to("/dev/null")
    with pytest.raises(CompileError, match=r"holds report\.html"):
        design.save(tmp_path)


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CompileError, match="must be a folder, not a file"):
        make()[0].save(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_link_to_a_folder_stays_one(tmp_path):
    design, _ = make()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        design.save(tmp_path / "link")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]
        assert (tmp_path / "link").is_symlink()
        assert Design.load(tmp_path / "real") == design
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CompileError, match="cannot be written"):
        design.save(tmp_path / "loop")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_folder_that_cannot_be_renamed_stays(tmp_path, monkeypatch, failing):
    """As a mount point cannot; or as where the new one then cannot take its place."""
    design, _ = make()
    design.save(tmp_path / "b")
    rename, calls = Path.rename, []

    def busy(self, target):
        calls.append(self)
        if len(calls) == failing:
            raise OSError(16, os.strerror(16))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(CompileError, match="cannot be written: Device or resource busy"):
        make(1)[0].save(tmp_path / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    assert Design.load(tmp_path / "b") == design


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    design, _ = make()
    design.save(tmp_path / "old")
    before = (tmp_path / "old" / "design.json").read_bytes()
    written = Path.write_bytes

    def full(self, data):
        if self.name == "report.html":
            written(self, data[:10])
            raise OSError(28, os.strerror(28))
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    for target in ("old", "new", "deep/in/new"):
        with pytest.raises(CompileError, match="cannot be written: No space left"):
            design.save(tmp_path / target)
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old" / "design.json").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CompileError, match="cannot be written"):
        make()[0].save(tmp_path / "file" / "b")


def test_the_report_has_what_the_contract_names():
    report = make()[0].report
    names = "cycles_per_step latency_steps multipliers memory_bits engines layers"
    assert set(names.split()) <= set(report)
    assert report["latency_steps"] == 2
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    for layer in report["layers"]:
        assert layer["proof"]["slack_bits"] >= 0
        assert layer["saturation"] == {"current": 0, "prosp": 0, "rate": 0}


def test_the_header_is_c(tmp_path):
    header = bundle.contents(make()[0])["vle_model.h"].decode()
    assert "#define VLE_INPUTS " in header
    lines = [
        line for line in header.splitlines() if line.startswith("#define") and "_H" not in line
    ]
    names = [line.split()[1] for line in lines]
    assert len(names) == len(set(names))
    for line in lines:
        name, value = line.split(maxsplit=2)[1:] if len(line.split()) > 2 else (line, "0")
        assert name.isidentifier()
        eval(value.replace("u", ""), {})  # a number or a shift


def test_the_page_stands_alone():
    page = bundle.contents(make()[0])["report.html"].decode()
    assert page.startswith("<!doctype html>")
    for outside in ("http://", "https://", "src=", "<link", "@import"):
        assert outside not in page.replace("http://www.w3.org/2000/svg", "")


def made(data=b"bits", **timing):
    """A bitstream as the tools would have made it."""
    runs = [{"seed": s, "clock_hz": 80e6, "fmax_hz": f} for s, f in ((1, 75e6), (2, 77e6))]
    used = {"luts": {"used": 4000, "available": 83640, "predicted": 3900}}
    found = {
        "clock_hz": 75_000_000,
        "wanted_hz": 80_000_000,
        "timed": True,
        "seed": 2,
        "runs": runs,
        "median_fmax_hz": 76_000_000,
        "critical_path": {"from": "<a>", "to": "b", "ns": 12.9, "routing_ns": 7.5},
        "resources": used,
        "tool": "nextpnr 0.11.1",
    }
    return Bitstream(
        file="own.bit",
        data=data,
        board="own",
        loader="ulx3s",
        clock_hz=75_000_000,
        link="uart",
        baud=1_000_000,
        weights_volatile=False,
        timing=found | timing,
    )


def test_a_bitstream_goes_with_its_design(tmp_path):
    design, _ = make()
    design.save(tmp_path / "b", bitstream=made())
    assert (tmp_path / "b" / "own.bit").read_bytes() == b"bits"
    manifest = json.loads((tmp_path / "b" / "design.json").read_text())
    assert manifest["board"] == {
        "name": "own",
        "loader": "ulx3s",
        "clock_hz": 75_000_000,
        "link": "uart",
        "baud": 1_000_000,
        "weights_volatile": False,
        "bitstream": "own.bit",
        "sha256": hashlib.sha256(b"bits").hexdigest(),
    }
    assert Design.load(tmp_path / "b") == design
    assert Design.load(tmp_path / "b").report["timing"] == made().timing
    page = (tmp_path / "b" / "report.html").read_text()
    for text in ("75 MHz", "80 MHz", "76 MHz", "3,900", "12.9 ns", "&lt;a&gt;"):
        assert text in page
    (tmp_path / "b" / "own.bit").write_bytes(b"bots")
    with pytest.raises(CompileError, match=r"own.bit: is damaged"):
        Design.load(tmp_path / "b")


def test_a_bitstream_goes_where_the_next_bundle_has_none(tmp_path):
    design, _ = make()
    design.save(tmp_path / "b", bitstream=made())
    design.save(tmp_path / "b")
    assert not (tmp_path / "b" / "own.bit").exists()
    assert Design.load(tmp_path / "b").report["timing"] is None
    assert "board" not in json.loads((tmp_path / "b" / "design.json").read_text())


def test_clocks_that_nobody_timed_are_called_so():
    page = html_page({**make()[0].report, "timing": made(timed=False).timing})
    assert "do not know the delays" in page


def test_a_target_is_refused_before_the_work(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CompileError, match="output folder must be new, empty or a bundle"):
        bundle.check_target(tmp_path)
    bundle.check_target(tmp_path / "new")
