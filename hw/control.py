"""The registers of the top: who the chip is, what it does, what it has counted."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.registers import (
    HALF_COUNT,
    IDENTITY,
    VERSION,
    RegisterMap,
    counter_names,
)
from vle.compiler.learning.chip_words import rate_word
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH
from vle.hw.bus import BusSignature
from vle.hw.counters import CountSignature

RATE_WIDTH = MANTISSA_WIDTH + EXPONENT_WIDTH


class Control(wiring.Component):
    """Answers the addresses below `core_base` after one clock, passes the others on.

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
        own, done, error, word = Signal(), Signal(), Signal(), Signal(32)
        m.d.comb += [
            own.eq(~self.bus.addr[self.map.core_base.bit_length() - 1 :].any()),
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
        written = self._written(m)
        counting, standing = Signal(), Signal()  # a count is asked for; its selection has come out
        with m.If(own & ~done & (self.bus.read | self.bus.write)):
            m.d.sync += done.eq(~counting)
            self._access(m, word, error, counting, written)
        m.d.sync += standing.eq(counting)
        with m.If(counting & standing):
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

    def _access(
        self, m: Module, word: Signal, error: Signal, counting: Signal, written: dict[str, list]
    ) -> None:
        """Of the register at the address, read the word or write it."""
        with m.Switch(self.bus.addr[: (self.map.core_base - 1).bit_length()]):
            for place, name in enumerate(self.counted):
                with m.Case(self.map.register(name).address):
                    m.d.sync += self.counts.select.eq(place)
                    m.d.comb += counting.eq(self.bus.read)
                    m.d.sync += error.eq(self.bus.write)
            for name, value in self._values().items():
                register = self.map.register(name)
                with m.Case(register.address):
                    m.d.sync += word.eq(value)
                    if register.access == "r":
                        m.d.sync += error.eq(self.bus.write)
                    else:
                        with m.If(self.bus.write):
                            m.d.sync += written[name]
            with m.Default():
                m.d.sync += error.eq(1)

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
