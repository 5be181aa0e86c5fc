"""From model.cpp to a shared library: the machine's C++ compiler, and a cache of what it made."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from vle.cache import cache_folder
from vle.compiler.fast.words import header
from vle.errors import VleError

SOURCE = Path(__file__).with_name("model.cpp")
FLAGS = ("-std=c++17", "-O3", "-fwrapv", "-fopenmp-simd", "-fPIC", "-shared")
NATIVE = ("-march=native",)
SECONDS = 300


class CompilerError(VleError):
    """The machine has no C++ compiler that makes the fast model."""


@cache
def load() -> ctypes.CDLL:
    """Return the library, built where the cache does not hold it yet.

    Raises
    ------
    CompilerError
        Where a C++ compiler is missing or fails.
    """
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    version = _run([*compiler, "--version"])
    key = hashlib.sha256()
    for part in (SOURCE.read_text(), header(), version, _processor(), *compiler, *FLAGS, *NATIVE):
        key.update(part.encode() + b"\0")
    path = cache_folder() / "fast" / f"{key.hexdigest()[:24]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _build(compiler, path)
    return ctypes.CDLL(str(path))


def _build(compiler: list[str], path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vle-", dir=path.parent) as folder:
        (Path(folder) / "words.h").write_text(header())
        built = Path(folder) / "fast.so"
        command = [*compiler, *FLAGS, f"-I{folder}", str(SOURCE), "-o", str(built)]
        try:
            _run([*command, *NATIVE])
        except CompilerError:
            _run(command)  # not every compiler knows every processor
        built.replace(path)


def _processor() -> str:
    """Describe what `-march=native` depends on, for folders that machines share."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    names = ("model name", "flags", "Features", "CPU part")
    return platform.machine() + "\n".join(sorted({x for x in lines if x.startswith(names)}))


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, timeout=SECONDS, errors="replace"
        )
    except FileNotFoundError as error:
        raise CompilerError(
            f"the fast model needs a C++ compiler, and {command[0]!r} is not there; CXX names one"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{command[0]} took more than {SECONDS} s") from error
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        lines = said.strip().splitlines() or ["no message"]
        wrong = next((line for line in lines if "rror" in line), lines[-1])
        raise CompilerError(f"{command[0]} failed: {wrong}") from error
    return done.stdout
