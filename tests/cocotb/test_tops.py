"""The cocotb bench on every top, on Verilator."""

from __future__ import annotations

import pytest
import runner
from conftest import SEED, SOAK
from tops import TOPS

from vle.hw import verilog

FRAMES = 400 if SOAK else 24


@pytest.mark.parametrize("top", TOPS)
def test_bench(top):
    print("seed", SEED)
    environment = {"VLE_TOP": top, "VLE_FRAMES": str(FRAMES)}
    text = verilog.generate(TOPS[top](), trace=True)
    assert runner.run(top, text, seed=SEED, environment=environment) >= 9
