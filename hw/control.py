"""The registers of the top: who the chip is, what it does, what it has counted."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.registers import (
    HALF_COUNT,
    IDENTITY,
    VERSION,
    Register,
    RegisterMap,
    counter_names,
)
from vle.compiler.learning.chip_words import rate_word
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH
from vle.hw.bus import BusSignature
from vle.hw.counters import CountSignature
from vle.hw.numeric import Delay, selected

RATE_WIDTH = MANTISSA_WIDTH + EXPONENT_WIDTH


class Control(wiring.Component):
    """Answers the addresses below `core_base` after 2 clocks, passes the others on after one.

    A count is answered when its halves come by.

    Writing 1 to `clear` or `clear_counters` acts once; `halt` stays as written. An address without
    a register, and a write to one that can only be read, is an error.

    Parameters
    ----------
    registers
        The map of the chip.
    layers
        Number of layers.
    learning
        Of the network; None: it does not learn.

    Members
    -------
    bus : In(BusSignature)
        From the host.
    core : Out(BusSignature)
        To the memories and flags of the network.
    halt, clear, clear_counters : Out(1)
        To the network.
    idle : In(1)
        From the network.
    counts : Out(CountSignature)
        Of the network.
    rate, tau_rate : Out(24)
        Per layer that learns: the mantissa, above it the exponent.
    probe_lost : In(32)
        Words of probes lost, where it learns.
    probe, probe_write : Out
        Per probe: what it shows, and whether that has just been written.
    """

    def __init__(
        self, registers: RegisterMap, layers: int, learning: LearningNetwork | None = None
    ) -> None:
        self.map, self.layers, self.learning = registers, layers, learning
        self.probes = sum(r.name.startswith("PROBE[") for r in registers.registers)
        self.counted = counter_names(layers, learns=learning is not None)
        bus = BusSignature(registers.address_width)
        ports = {
            "bus": In(bus),
            "core": Out(bus),
            "halt": Out(1),
            "clear": Out(1),
            "clear_counters": Out(1),
            "idle": In(1),
            "counts": Out(CountSignature(len(self.counted))),
        }
        if learning is not None:
            ports |= {
                "rate": Out(RATE_WIDTH).array(layers),
                "tau_rate": Out(RATE_WIDTH).array(layers),
                "probe": Out(32).array(self.probes),
                "probe_write": Out(1).array(self.probes),
                "probe_lost": In(32),
            }
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        """Decode, read, write."""
        m = Module()
        asked, own, done = Signal(), Signal(), Signal()  # a clock after the bus
        error, word = Signal(), Signal(32)
        m.d.sync += [
            asked.eq((self.bus.read | self.bus.write) & ~self.bus.done),
            own.eq(~self.bus.addr[self.map.core_base.bit_length() - 1 :].any()),
        ]
        m.d.comb += [
            self.core.addr.eq(self.bus.addr),
            self.core.w_data.eq(self.bus.w_data),
            self.core.read.eq(self.bus.read & asked & ~own),
            self.core.write.eq(self.bus.write & asked & ~own),
            self.bus.r_data.eq(Mux(own, word, self.core.r_data)),
            self.bus.done.eq(done | self.core.done),
            self.bus.error.eq(Mux(own, error, self.core.error)),
        ]
        m.d.sync += [done.eq(0), error.eq(0), self.clear.eq(0)]
        m.d.sync += self.clear_counters.eq(0)
        values = {self.map.register(name): value for name, value in self._values().items()}
        here, counted = self._decode(m, list(values))
        counting = Signal()  # a count is asked for
        asked_for = Delay(m, counting, "counting")
        answers = own & asked & ~done
        m.d.comb += counting.eq(answers & counted & self.bus.read)
        with m.If(~counted):
            m.d.sync += word.eq(selected(here, values.values()))
        with m.If(answers & ~counting):
            m.d.sync += done.eq(1)
            m.d.sync += error.eq(Mux(self.bus.read, ~here.any(), ~self._writable(here, values)))
        written = self._written(m)
        for place, register in enumerate(values):
            with m.If(answers & self.bus.write & here[place]):
                m.d.sync += written.get(register.name, [])
        with m.If(counting & asked_for[1] & asked_for[2]):  # by then it has all events before
            m.d.sync += done.eq(self._count(m, word))
        return m

    def _count(self, m: Module, word: Signal) -> Value:
        """Take the halves of the selected count; return whether both are there."""
        begun, counts = Signal(), self.counts
        m.d.sync += begun.eq(counts.low)
        for half, comes in enumerate((counts.low, counts.high)):
            with m.If(comes):
                m.d.sync += word.word_select(half, HALF_COUNT).eq(counts.word)
        return begun & counts.high

    def _decode(self, m: Module, registers: list[Register]) -> tuple[Signal, Signal]:
        """Return a bit for each register, and whether a count is addressed, a clock late."""
        low = self.bus.addr[: (self.map.core_base - 1).bit_length()]
        here, counted = Signal(len(registers)), Signal()
        m.d.sync += here.eq(Cat(low == register.address for register in registers))
        m.d.sync += [counted.eq(0), self.counts.select.eq(0)]
        with m.Switch(low):
            for place, name in enumerate(self.counted):
                with m.Case(self.map.register(name).address):
                    m.d.sync += [self.counts.select.eq(place), counted.eq(1)]
        return here, counted

    def _writable(self, here: Signal, registers: Iterable[Register]) -> Value:
        """Whether the register at the address can be written."""
        return Cat(here[k] for k, r in enumerate(registers) if r.access != "r").any()

    def _written(self, m: Module) -> dict[str, list]:
        """Return what a write does, by register."""
        data = self.bus.w_data
        flags = (self.halt, self.clear, self.clear_counters)
        found = {"CTRL": [bit.eq(data[k]) for k, bit in enumerate(flags)]}
        if self.learning is None:
            return found
        for layer, spec in enumerate(self.learning.learning):
            for kind in ("rate", "tau_rate"):
                name = f"{kind.upper()}[{layer}]"
                held = Signal(
                    RATE_WIDTH, init=rate_word(getattr(spec, kind)), name=f"{kind}{layer}"
                )
                m.d.comb += getattr(self, kind)[layer].eq(held)
                found[name] = [held.eq(data)]
        for k in range(self.probes):
            m.d.sync += self.probe_write[k].eq(0)
            found[f"PROBE[{k}]"] = [self.probe[k].eq(data), self.probe_write[k].eq(1)]
        return found

    def _values(self) -> dict:
        fixed = {"ID": IDENTITY, "VERSION": VERSION, "HASH": self.map.hash}
        moving = {
            "CTRL": self.halt,
            "STATUS": self.idle,
        }
        return {**fixed, **moving, **self._learning_values()}

    def _learning_values(self) -> dict:
        if self.learning is None:
            return {}
        found = {"PROBE_LOST": self.probe_lost}
        for layer in range(self.layers):
            found |= {
                f"RATE[{layer}]": self.rate[layer],
                f"TAU_RATE[{layer}]": self.tau_rate[layer],
            }
        return found | {f"PROBE[{k}]": self.probe[k] for k in range(self.probes)}
