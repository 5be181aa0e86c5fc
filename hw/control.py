"""The registers of the top: who the chip is, what it does, what it has counted."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.registers import COUNTERS, IDENTITY, VERSION, RegisterMap
from vle.hw.bus import BusSignature


class Control(wiring.Component):
    """Answers the addresses below `core_base` after one clock, passes the others on.

    Writing 1 to `clear` or `clear_counters` acts once; `halt` stays as written. An address without
    a register, and a write to one that can only be read, is an error.

    Parameters
    ----------
    registers
        The map of the chip.
    layers
        Number of layers.

    Members
    -------
    bus : In(BusSignature)
        From the host.
    core : Out(BusSignature)
        To the memories and flags of the network.
    halt, clear, clear_counters : Out(1)
        To the network.
    idle, steps, frame_errors, saturation : In
        From the network; `saturation` per layer and kind.
    """

    def __init__(self, registers: RegisterMap, layers: int) -> None:
        self.map, self.layers = registers, layers
        bus = BusSignature(registers.address_width)
        super().__init__(
            {
                "bus": In(bus),
                "core": Out(bus),
                "halt": Out(1),
                "clear": Out(1),
                "clear_counters": Out(1),
                "idle": In(1),
                "steps": In(32),
                "frame_errors": In(32),
                "saturation": In(32).array(layers, len(COUNTERS)),
            }
        )

    def elaborate(self, platform) -> Module:
        """Decode, read, write."""
        m = Module()
        own, done, error, word = Signal(), Signal(), Signal(), Signal(32)
        m.d.comb += [
            own.eq(self.bus.addr < self.map.core_base),
            self.core.addr.eq(self.bus.addr),
            self.core.w_data.eq(self.bus.w_data),
            self.core.read.eq(self.bus.read & ~own),
            self.core.write.eq(self.bus.write & ~own),
            self.bus.r_data.eq(Mux(own, word, self.core.r_data)),
            self.bus.done.eq(Mux(own, done, self.core.done)),
            self.bus.error.eq(Mux(own, error, self.core.error)),
        ]
        m.d.sync += [done.eq(0), error.eq(0), self.clear.eq(0)]
        m.d.sync += self.clear_counters.eq(0)
        with m.If(own & ~done & (self.bus.read | self.bus.write)):
            m.d.sync += done.eq(1)
            self._access(m, word, error)
        return m

    def _access(self, m: Module, word: Signal, error: Signal) -> None:
        """Of the register at the address, read the word or write CTRL."""
        with m.Switch(self.bus.addr[: (self.map.core_base - 1).bit_length()]):
            for name, value in self._values().items():
                register = self.map.register(name)
                with m.Case(register.address):
                    m.d.sync += word.eq(value)
                    if register.access == "r":
                        m.d.sync += error.eq(self.bus.write)
                    else:
                        written = (self.halt, self.clear, self.clear_counters)
                        with m.If(self.bus.write):
                            m.d.sync += [
                                bit.eq(self.bus.w_data[k]) for k, bit in enumerate(written)
                            ]
            with m.Default():
                m.d.sync += error.eq(1)

    def _values(self) -> dict:
        fixed = {"ID": IDENTITY, "VERSION": VERSION, "HASH": self.map.hash}
        moving = {
            "CTRL": self.halt,
            "STATUS": self.idle,
            "STEPS": self.steps,
            "FRAME_ERRORS": self.frame_errors,
        }
        counters = {
            f"SATURATION[{layer}][{kind}]": self.saturation[layer][place]
            for layer in range(self.layers)
            for place, kind in enumerate(COUNTERS)
        }
        return {**fixed, **moving, **counters}
