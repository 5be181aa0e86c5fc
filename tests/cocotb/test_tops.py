"""The cocotb bench on every top, on Verilator."""

from __future__ import annotations

import pytest
import runner
import uart_board
from conftest import SEED, SOAK
from tops import LEARNERS, LINES, TOPS

from vle.hw import verilog

FRAMES = 400 if SOAK else 24
LINE_FRAMES = {"talks": 20_000, "listens": 5_000} if SOAK else {"talks": 80}


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


@pytest.mark.parametrize(("top", "payload"), [("talks", 240), ("listens", 120)][: 1 + SOAK])
def test_uart_bench(top, payload):
    print("seed", SEED)
    environment = {"VLE_TOP": top, "VLE_FRAMES": str(LINE_FRAMES[top])}
    text = verilog.generate(LINES[top]()) + uart_board.generate(LINES[top](), payload)
    name = f"uart-{top}"
    kwargs = {"seed": SEED, "environment": environment, "bench": "uart_bench"}
    assert runner.run(name, text, toplevel="board", **kwargs) >= 1


def test_soc_bench():
    print("seed", SEED)
    chip = TOPS["small"]()
    environment = {"VLE_TOP": "small", "VLE_FRAMES": str(FRAMES)}
    text = verilog.generate(chip) + verilog.generate_soc(chip)
    kwargs = {"seed": SEED, "environment": environment, "bench": "soc_bench"}
    assert runner.run("soc-small", text, toplevel="vle_soc", **kwargs) >= 4


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
