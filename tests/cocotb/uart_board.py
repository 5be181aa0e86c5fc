"""A board for benches: a chip behind its link and a UART."""

from __future__ import annotations

import os

from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.link import LinkSpec
from vle.hw.link.uart import Uart
from vle.hw.ports import ChipInstance
from vle.hw.shell import Shell

CLOCK_HZ = 100_000_000
CLOCKS_PER_BIT = 10
BAUD = CLOCK_HZ // CLOCKS_PER_BIT


class UartBoard(wiring.Component):
    """A chip, module `top`, behind two wires."""

    def __init__(self, chip: ChipSpec, payload_max: int) -> None:
        self.chip, self.payload_max = chip, payload_max
        super().__init__({"rx": In(1, init=1), "tx": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = LinkSpec.of_chip(self.chip, payload_max=self.payload_max)
        m.submodules.shell = shell = Shell(ChipInstance(self.chip), spec, clock_hz=CLOCK_HZ)
        m.submodules.uart = uart = Uart(CLOCK_HZ, BAUD)
        wiring.connect(m, uart.o, shell.i)
        wiring.connect(m, shell.o, uart.i)
        m.d.comb += [uart.rx.eq(self.rx), self.tx.eq(uart.tx), shell.line_error.eq(uart.error)]
        return m


def generate(chip: ChipSpec, payload_max: int) -> str:
    """Verilog of module `board`."""
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    board = UartBoard(chip, payload_max)
    ports = {"rx": (board.rx, None), "tx": (board.tx, None)}
    return verilog.convert(board, name="board", ports=ports, emit_src=False)
