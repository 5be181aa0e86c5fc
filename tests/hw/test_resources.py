"""What a plan says that a chip takes, against what synthesis counts."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyosys", reason="synthesis comes with the extra `boards`")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "resources.py"


def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_resources", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


BENCHMARK = benchmark()
FEW = (
    ("ecp5", "4 lanes, tanh"),
    ("ecp5", "3 lanes, sigmoid"),
    ("ice40", "2 lanes, 4 bits"),
    ("gowin", "1 lane"),
)
ALL = [(family, case.name) for case in BENCHMARK.CASES for family in case.families]


@pytest.mark.parametrize(("family", "name"), ALL if os.environ.get("VLE_SOAK") else FEW)
def test_a_chip_takes_what_was_predicted(family, name):
    """Multipliers and memory blocks to the last one, look-up tables within a quarter."""
    case = next(case for case in BENCHMARK.CASES if case.name == name)
    row = BENCHMARK.measure(case, BENCHMARK.BOARDS[BENCHMARK.BOARD_OF[family]])
    assert BENCHMARK.verdict(row) is None, BENCHMARK.line(row)
    assert row["counted"]["luts"] > 1000
