"""Programs in C for the tests: built with the driver, run on a line to a device."""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import learning_nets as nets
import numpy as np
import pytest
from conftest import SEED
from link_device import LinkDevice, Noise

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "c"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STEPS, RETRY = 60, 40  # milliseconds
QUIET = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # of a program that ends
PATIENCE = 60.0  # seconds for a program to end


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> Path:
    """The driver, compiled once, for programs of all models."""
    path = tmp_path_factory.mktemp("driver") / "vle.o"
    told = ["cc", *STRICT, *SANITIZERS, "-O1", "-c", ROOT / "c" / "vle.c", "-o", path]
    subprocess.run(told, check=True)
    return path


def build(driver: Path, folder: Path, source: Path) -> Path:
    """Compile a program for a bundle and link it to the driver."""
    told = (f"-I{ROOT / 'c'}", f"-I{folder / 'bundle'}", f"-I{SOURCES}")
    program = folder / source.stem
    subprocess.run(["cc", *STRICT, *SANITIZERS, *told, source, driver, "-o", program], check=True)
    return program


@dataclass
class Line:
    """Runs a program whose stdin and stdout are a line to a device.

    Parameters
    ----------
    device
        Anything that takes bytes and returns bytes: `receive`.
    chance, seed
        Of noise, both ways.
    """

    device: LinkDevice
    chance: float = 0.0
    seed: int = SEED
    noises: list[Noise] = field(default_factory=list)

    def run(self, *command) -> tuple[int, str]:
        self.noises = [Noise(self.chance, self.seed + k) for k in range(2)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(list(map(str, command)), bufsize=0, env=QUIET, **pipes) as program:
            try:
                self.serve(program.stdout.fileno(), program.stdin.fileno())
                said = program.stderr.read().decode()
                return program.wait(PATIENCE), said
            finally:
                program.kill()

    def serve(self, come: int, go: int) -> None:
        """Hand bytes to and fro until the program closes its end."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not select.select([come], [], [], 0.05)[0]:
                continue
            data = os.read(come, 1 << 16)
            if not data:
                return
            answer = self.noises[1](self.device.receive(self.noises[0](data)))
            if answer:
                os.write(go, answer)
        raise AssertionError(f"the program has not ended within {PATIENCE} s")


def read(path: Path, columns: int) -> np.ndarray:
    kinds = {".f32": "<f4", ".i32": "<i4", ".u32": "<u4"}
    return np.fromfile(path, kinds[path.suffix]).reshape(-1, columns)


def write_signals(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Signals in single precision: both drivers are given the same."""
    rng = np.random.default_rng(SEED)
    x, y = (a.astype(np.float32) for a in nets.signal(STEPS))
    x[3] *= 100  # clamped
    freeze, classes = rng.random(STEPS) < 0.2, nets.classes(STEPS)
    for name, data in (("x.f32", x), ("y.f32", y), ("freeze.u8", freeze.astype(np.uint8))):
        data.tofile(folder / name)
    classes.astype("<i4").tofile(folder / "classes.i32")
    return x, y, freeze, classes


def run_in_c(driver: Path, design, device, folder: Path, chance: float = 0.0) -> str:
    """Build the program for a design, run it on a device; return what it said of its line."""
    if not (folder / "bundle").exists():
        design.save(folder / "bundle")
    program = build(driver, folder, SOURCES / "driver.c")
    code, said = Line(device, chance).run(program, folder, STEPS, RETRY)
    assert code == 0, said
    assert chance or device.session == 0, "the session was not closed"
    return said
