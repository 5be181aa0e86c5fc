"""The cocotb bench on every top, on Verilator."""

from __future__ import annotations

import os

import pytest
import runner
from tops import TOPS

from vle.hw import verilog

SEED = int(os.environ.get("VLE_SEED", "20260309"))
FRAMES = 400 if os.environ.get("VLE_SOAK") else 24


@pytest.mark.parametrize("top", TOPS)
def test_bench(top):
    print("seed", SEED)
    environment = {"VLE_TOP": top, "VLE_FRAMES": str(FRAMES)}
    text = verilog.generate(TOPS[top](), trace=True)
    assert runner.run(top, text, seed=SEED, environment=environment) >= 9
