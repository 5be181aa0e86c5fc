"""The bench of a board behind a UART: `vle.host.link` drives cocotbext-uart, the model compares.

Runs inside the simulator, as `bench`.
"""

from __future__ import annotations

import os

import cocotb
import numpy as np
import random_chips
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles
from expected import expected
from tops import LINES
from uart_board import BAUD
from uart_line import UartLine

from vle.compiler.circuit.link import LinkSpec
from vle.compiler.circuit.registers import IDENTITY
from vle.host.link.records import WordBytes
from vle.host.link.session import Session
from vle.host.link.transport import LinkTransport

CHIP = LINES[os.environ["VLE_TOP"]]()
SPEC, LINK = CHIP.network, LinkSpec.of_chip(CHIP)
SIZES = WordBytes(LINK.input_bytes, LINK.output_bytes, 2)
FRAMES = int(os.environ["VLE_FRAMES"])
GOODPUT = 0.85
WATCHDOG = {"timeout_time": 2000, "timeout_unit": "ms"}


async def opened(dut) -> tuple[UartLine, LinkTransport]:
    """Reset the board and open a session."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    line = UartLine(dut, BAUD)
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    return line, LinkTransport(await bridge(Session)(line), SIZES)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Random frames, some of which begin a sequence."""
    numbers = np.random.default_rng(cocotb.RANDOM_SEED)
    start = numbers.random(FRAMES) < 0.02
    start[0] = True
    return random_chips.frames(numbers, SPEC, FRAMES).astype(np.int32), start


@cocotb.test(**WATCHDOG)
async def test_words_and_goodput(dut):
    """Every word is right, and 85 % of the busier wire carries words."""
    line, transport = await opened(dut)
    registers = await bridge(transport.read)([0, 0x80000000])
    assert registers.tolist() == [IDENTITY, 0x564C4542]
    frames, start = drawn()
    outputs = SPEC.layers[-1].outputs
    began, before = line.now(), line.sent
    got = await bridge(transport.exchange)(frames, start, outputs)
    seconds = line.now() - began
    assert got.tolist() == expected(SPEC, frames, start).outputs.tolist()
    carried = max(frames.size * LINK.input_bytes, got.size * LINK.output_bytes)
    goodput = 10 * carried / BAUD / seconds
    cocotb.log.info("goodput %.1f %% of the line, %d frames", 100 * goodput, FRAMES)
    assert line.sent - before < 1.3 * max(frames.size * LINK.input_bytes, carried)
    assert goodput >= GOODPUT
    await bridge(transport.close)()
    line.close()
