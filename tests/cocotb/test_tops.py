"""The cocotb bench on every top, on Verilator."""

from __future__ import annotations

import pytest
import runner
from conftest import SEED, SOAK
from tops import LEARNERS, TOPS

from vle.hw import verilog

FRAMES = 400 if SOAK else 24


@pytest.mark.parametrize("top", TOPS)
def test_bench(top):
    print("seed", SEED)
    environment = {"VLE_TOP": top, "VLE_FRAMES": str(FRAMES)}
    text = verilog.generate(TOPS[top](), trace=True)
    assert runner.run(top, text, seed=SEED, environment=environment) >= 9


@pytest.mark.parametrize("top", LEARNERS)
def test_learning_bench(top):
    print("seed", SEED)
    environment = {"VLE_TOP": top, "VLE_FRAMES": str(FRAMES)}
    text = verilog.generate(LEARNERS[top](), trace=True)
    assert runner.run(top, text, seed=SEED, environment=environment, bench="learning_bench") >= 9


def test_words_that_change_while_they_wait_are_seen():
    """Each word is right when it is taken, and another one before."""
    right = "assign m_axis_tdata = "
    text = verilog.generate(TOPS["small"](), trace=True)
    assert text.count(right) == 1
    wrong = "reg [15:0] count = 0; always @(posedge clk) count <= count + 1;\n  "
    text = text.replace(right, f"{wrong}{right}(m_axis_tready ? 0 : count) ^ ")
    environment = {"VLE_TOP": "small", "VLE_FRAMES": "6"}
    with pytest.raises(AssertionError, match=r"m_axis_t\* changed from"):
        runner.run("changing", text, seed=SEED, environment=environment)
