"""From the bus to flags and memories."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.registers import Region, RegisterMap, lane_bits
from vle.hw.bus import BusSignature
from vle.hw.numeric import selected_late

READ_CLOCKS = 8  # to a memory 1, its port 1, its word 2, a lane of that 2, one of all words 2


class BusDecoder(wiring.Component):
    """One access at a time: `done` 5 clocks after a write, 12 after a read.

    What memories and flags see of it is registered.

    Parameters
    ----------
    registers
        Where everything lies.

    Members
    -------
    bus
        From the host.
    open
        The chip is halted and idle: memories answer.
    address, w_data, active, write, r_data
        To the memories; `active`, `write` and `r_data` for each region of the map, at most one of
        them active.
    flags, flags_write, flags_data
        The network's flag, then each layer's, then its words of learning: as they are; what to
        set.
    """

    def __init__(self, registers: RegisterMap):
        self.registers = registers
        self.flag_count = sum(r.address >= registers.flags_base for r in registers.registers)
        width, regions = registers.flag_width, max(1, len(registers.regions))
        super().__init__(
            {
                "bus": In(BusSignature(registers.address_width)),
                "open": In(1),
                "address": Out(registers.address_width),
                "w_data": Out(32),
                "active": Out(regions),
                "write": Out(regions),
                "r_data": In(32).array(regions),
                "flags": In(width).array(self.flag_count),
                "flags_write": Out(self.flag_count),
                "flags_data": Out(width),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        opened, flag = (self._later(m, value) for value in (self.open, self._flags()))
        here, flagged = self._regions(m), Signal()
        word = selected_late(m, Cat(self.active, flag), [*self.r_data, *self.flags])
        m.d.comb += [self.flags_data.eq(self.w_data), self.bus.r_data.eq(word)]
        m.d.sync += [
            self.address.eq(self.bus.addr),
            self.w_data.eq(self.bus.w_data),
            self.write.eq(0),
            self.flags_write.eq(0),
        ]
        wait = Signal(range(READ_CLOCKS))
        with m.FSM():
            with m.State("IDLE"), m.If(self.bus.read | self.bus.write):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += self.active.eq(Mux(opened, here, 0))
                m.d.sync += flagged.eq(opened & flag.any())
                m.d.sync += wait.eq(Mux(self.bus.write, READ_CLOCKS - 1, 0))
                with m.If(self.bus.write & opened):
                    m.d.sync += [self.write.eq(here), self.flags_write.eq(flag)]
                m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.sync += [wait.eq(wait + 1), self.bus.error.eq(~(self.active.any() | flagged))]
                with m.If(wait == READ_CLOCKS - 1):
                    m.d.sync += self.active.eq(0)
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.bus.done.eq(1)
                m.next = "IDLE"
        return m

    @staticmethod
    def _later(m: Module, value: Value) -> Signal:
        """Return the value a clock later."""
        register = Signal.like(value)
        m.d.sync += register.eq(value)
        return register

    def _regions(self, m: Module) -> Value:
        """Whether the address is that of a word, a bit for each region; a clock later."""
        width, hits = self.registers.address_width, []
        for entry in self.registers.regions:
            upper = self.address[entry.address_width : width]
            found = [upper == entry.base >> entry.address_width, *self._within(entry)]
            hits.append(self._later(m, Cat(found)).all())
        return Cat(hits) if hits else C(0, 1)

    def _within(self, entry: Region) -> tuple[Value, Value]:
        """Whether the region has this word and this lane."""
        bits = lane_bits(entry.lanes)
        word, lane = self.address[bits : entry.address_width], self.address[:bits]
        return word < entry.depth, lane < entry.lanes

    def _flags(self) -> Value:
        """Whether the address is that of a flag word, a bit for each."""
        base = self.registers.flags_base
        return Cat(self.address == base + k for k in range(self.flag_count))
