"""The driver alone: what it imports, how long that takes, and what it needs on a disk."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import vle

SECONDS, BYTES = 0.4, 100e6
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
WHEEL = Path(vle.__path__[0])


def printed(program: str) -> str:
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip()


def test_what_it_imports():
    """Neither the terminal's libraries nor those of a line that nobody has opened."""
    program = "import sys, vle.host; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    found = set(printed(program).split())
    assert "numpy" in found
    assert not found & {"click", "rich", "serial", "cobs", "spidev", "asyncio", "amaranth", "onnx"}


def test_how_long_that_takes():
    program = "import time; begin = time.process_time(); import vle.host;"
    program += "print(time.process_time() - begin)"
    assert min(float(printed(program)) for _ in range(5)) < SECONDS


def needs(wanted: str, found: set[str]) -> None:
    """Gather a package and all that it needs without extras."""
    name = re.match(r"[A-Za-z0-9._-]+", wanted)[0].lower()
    if name not in found:
        found.add(name)
        for line in metadata.requires(name) or ():
            if "extra ==" not in line and "python_version <" not in line:
                needs(line, found)


def test_what_it_needs_on_a_disk():
    wanted = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    packages = set()
    for line in wanted:
        needs(line, packages)
    assert {"numpy", "pyserial", "cobs", "click", "rich"} <= packages
    own = [f for part in WHEEL.iterdir() for f in (part, *part.resolve().rglob("*"))]
    sizes = {"vle": sum(f.stat().st_size for f in own if f.is_file())}
    for name in packages:
        files = metadata.files(name)
        sizes[name] = sum(p.stat().st_size for f in files if (p := Path(f.locate())).exists())
    print({name: f"{size / 1e6:.1f} MB" for name, size in sizes.items()})
    assert sizes["numpy"] > 20e6
    assert sum(sizes.values()) < BYTES
