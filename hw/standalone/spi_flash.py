"""A NOR flash over SPI, by the commands that all of them know (JESD216)."""

from __future__ import annotations

from math import ceil
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.hw.standalone.parts import BUSY_S
from vle.hw.standalone.spi import PADS, Shifter

APART_NS, WAKE_NS = 100, 50_000  # CS high between two commands; after power-down, with reserve
ADDRESS = 24  # bits
BUSY = 0  # bit of the status
LAST_BYTE: Any = data.StructLayout({"byte": 8, "last": 1})


class Operation(enum.Enum, shape=2):
    """What to do."""

    WAKE = 0
    READ = 1
    PROGRAM = 2
    ERASE = 3


class Command(enum.IntEnum):
    """First byte of a transfer."""

    PROGRAM = 0x02
    READ = 0x03
    STATUS = 0x05
    WRITE_ENABLE = 0x06
    ERASE_SECTOR = 0x20
    WAKE = 0xAB


CODES = {
    Operation.WAKE: Command.WAKE,
    Operation.READ: Command.READ,
    Operation.PROGRAM: Command.PROGRAM,
    Operation.ERASE: Command.ERASE_SECTOR,
}


class SpiFlash(wiring.Component):
    """Wakes, reads, programs pages, erases sectors; waits until the flash is done.

    After all but a READ the status is asked for, again and again, for `busy_s` at most: one that
    is woken may still be at work on what was asked of it before this circuit began.

    A byte takes `16 * half_period` clocks and 2 more.

    Parameters
    ----------
    clock_hz
        Of the design.
    half_period
        Clocks of half a period of SCK.
    busy_s
        Seconds for which the flash may be busy at most.

    Members
    -------
    start : In(1)
        Begin; taken while not `busy`.
    operation, address : In
        What, and where; they stand while `busy`.
    busy : Out(1)
        From the clock after `start`.
    late : Out(1)
        The flash was busy for longer than it may be; stands until the next `start`.
    o : Out(stream of bytes)
        What is read, until `stop`.
    stop : In(1)
        End a READ, while no byte is on its way: in the clock in which one is taken, or before the
        next is asked for by `o.ready`.
    i : In(stream of bytes and `last`)
        What is programmed, within a page.
    pads : Out(PADS)
        `cs` is low where it selects.
    """

    def __init__(self, clock_hz: int, half_period: int = 1, busy_s: float = BUSY_S) -> None:
        self.clock_hz, self.half_period, self.busy_s = clock_hz, half_period, busy_s
        super().__init__(
            {
                "start": In(1),
                "operation": In(Operation),
                "address": In(ADDRESS),
                "busy": Out(1),
                "late": Out(1),
                "o": Out(stream.Signature(unsigned(8))),
                "stop": In(1),
                "i": In(stream.Signature(LAST_BYTE)),
                "pads": Out(PADS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.shifter = shifter = Shifter(32, self.half_period, synchronise=False)
        selected, enabled = Signal(), Signal()
        apart, wake = (ceil(self.clock_hz * ns / 1e9) for ns in (APART_NS, WAKE_NS))
        longest = ceil(self.clock_hz * self.busy_s)
        wait = Signal(range(max(apart, wake, longest) + 1))
        m.d.comb += [
            shifter.cipo.eq(self.pads.cipo),
            self.pads.clk.eq(shifter.clk),
            self.pads.copi.eq(shifter.copi),
            self.pads.cs.eq(~selected),
            self.o.payload.eq(shifter.heard[:8]),
            self.busy.eq(1),
        ]
        wakes, reads = (self.operation == o for o in (Operation.WAKE, Operation.READ))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [enabled.eq(0), wait.eq(apart)]
                with m.If(self.start):
                    m.d.sync += self.late.eq(0)
                    m.next = "COMMAND"
            self._command(m, shifter, selected, enabled)
            with m.State("APART"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "COMMAND"
            self._transfer(m, shifter)
            with m.State("DESELECT"):
                m.d.sync += [selected.eq(0), wait.eq(Mux(wakes, wake, apart))]
                m.next = "REST"
            with m.State("REST"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "IDLE"
                    with m.If(~reads):
                        m.d.sync += [selected.eq(1), wait.eq(longest)]
                        m.next = "ASK"
            self._poll(m, shifter, selected, wait, apart)
        return m

    def _writes(self) -> Value:
        """Whether the flash must be allowed to do it."""
        return (self.operation == Operation.PROGRAM) | (self.operation == Operation.ERASE)

    def _command(self, m: Module, shifter: Shifter, selected: Signal, enabled: Signal) -> None:
        """Send the command and where there is one the address; before one that writes, leave."""
        code, writes = Signal(8), self._writes()
        enables = writes & ~enabled
        first = Mux(enables, C(Command.WRITE_ENABLE, 8), code)
        with m.State("COMMAND"):
            with m.Switch(self.operation):
                for operation, command in CODES.items():
                    with m.Case(operation):
                        m.d.comb += code.eq(command)
            m.d.comb += [
                shifter.word.eq(Cat(self.address, first)),
                shifter.count.eq(Mux(enables | (self.operation == Operation.WAKE), 8, 32)),
                shifter.start.eq(selected),
            ]
            m.d.sync += selected.eq(1)
            with m.If(selected):
                m.next = "SENT"
        with m.State("SENT"), m.If(~shifter.busy):
            with m.If(enables):
                m.d.sync += [enabled.eq(1), selected.eq(0)]
                m.next = "APART"
            with m.Elif(self.operation == Operation.READ):
                m.next = "READ"
            with m.Elif(self.operation == Operation.PROGRAM):
                m.next = "WRITE"
            with m.Else():
                m.next = "DESELECT"

    def _transfer(self, m: Module, shifter: Shifter) -> None:
        """Read or write bytes while the flash is selected."""
        with m.State("READ"):
            with m.If(self.stop):
                m.next = "DESELECT"
            with m.Elif(self.o.ready):
                m.d.comb += [shifter.start.eq(1), shifter.count.eq(8)]
                m.next = "BYTE"
        with m.State("BYTE"):
            m.d.comb += self.o.valid.eq(~shifter.busy)
            with m.If(self.o.valid & self.o.ready):
                m.next = "READ"
                with m.If(self.stop):
                    m.next = "DESELECT"
        last = Signal()
        with m.State("WRITE"):
            m.d.comb += [
                self.i.ready.eq(1),
                shifter.word.eq(self.i.p.byte << 24),
                shifter.count.eq(8),
                shifter.start.eq(self.i.valid),
            ]
            with m.If(self.i.valid):
                m.d.sync += last.eq(self.i.p.last)
                m.next = "WRITTEN"
        with m.State("WRITTEN"), m.If(~shifter.busy):
            m.next = "WRITE"
            with m.If(last):
                m.next = "DESELECT"

    def _poll(
        self, m: Module, shifter: Shifter, selected: Signal, wait: Signal, apart: int
    ) -> None:
        """Read the status, again and again, until the flash is no longer busy, or that is late."""
        with m.State("ASK"):
            m.d.comb += [
                shifter.word.eq(C(Command.STATUS, 8) << 24),
                shifter.count.eq(16),
                shifter.start.eq(1),
            ]
            m.next = "STATUS"
        busy = shifter.heard[BUSY]
        with m.State("STATUS"):
            with m.If(wait != 0):
                m.d.sync += wait.eq(wait - 1)
            with m.If(~shifter.busy):
                m.d.comb += [shifter.start.eq(busy & (wait != 0)), shifter.count.eq(8)]
                with m.If(~shifter.start):
                    m.d.sync += [selected.eq(0), self.late.eq(busy), wait.eq(apart)]
                    m.next = "DONE"
        with m.State("DONE"):
            m.d.sync += wait.eq(wait - 1)
            with m.If(wait == 0):
                m.next = "IDLE"
