"""How the prospective potential follows a neuron's time constants, for the filtered rule."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.windows import SENSE_KINDS
from vle.compiler.learning.time_constants import (
    CONSTANT_WIDTH,
    RATIO_SHIFT,
    SENSITIVITY_WIDTH,
    UNIT_SHIFT,
)
from vle.hw.bus import APART, AccessSignature
from vle.hw.numeric import Delay, below_point, multiply, saturate

WORD = signed(SENSITIVITY_WIDTH)
WRITTEN = 6


class Sensitivity(wiring.Component):
    """`sense` of the specification, a neuron per clock; written back at stage 6.

    ::

        gap   = -d - low;  bar_m = sat(low + rnd(rho * gap));  low = sat(low + rnd(alpha * gap))
        bar_r = sat(ahead)

    Parameters
    ----------
    engine
        Neurons and widths.
    ahead_width
        Bits of `ahead`.

    Members
    -------
    valid, neuron, start, held, zero
        A neuron: `low` reads as 0 where a sequence starts; all that is written is 0 where its layer
        waits; all that is read is 0 in the first step after a reset: stage 0.
    d, alpha, rho
        Stage 2.
    ahead, bar_m, bar_r
        Of this step; of the step before: stage 5.
    access_<kind>
        From the bus.
    """

    def __init__(self, engine: Engine, ahead_width: int):
        self.engine = engine
        bits = max(1, (engine.neurons - 1).bit_length())
        members = {name: In(1) for name in ("valid", "start", "held", "zero")}
        members |= {
            "neuron": In(range(max(2, engine.neurons))),
            "d": In(signed(engine.u_width + 1)),
            "alpha": In(CONSTANT_WIDTH),
            "rho": In(CONSTANT_WIDTH),
            "ahead": In(signed(ahead_width)),
            "bar_m": Out(WORD),
            "bar_r": Out(WORD),
        }
        members |= {f"access_{kind}": In(AccessSignature(bits)) for kind in SENSE_KINDS}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        self._valid, self._neuron = Delay(m, self.valid, "valid"), Delay(m, self.neuron, "neuron")
        zero, held = Delay(m, self.zero, "zero"), Delay(m, self.held, "held")[WRITTEN - 1]
        start = Delay(m, self.start, "start")
        new = {kind: Signal(WORD, name=f"{kind}_new") for kind in SENSE_KINDS}
        low = Mux(zero[2] | start[2], 0, self._memory(m, "sense_low", 0, new))
        low = Delay(m, low, "low", first=2)
        for kind, bar in (("sense_m", self.bar_m), ("sense_r", self.bar_r)):
            m.d.comb += bar.eq(Mux(zero[5], 0, self._memory(m, kind, 3, new)))
        gap = Signal(signed(max(self.engine.u_width + 1, SENSITIVITY_WIDTH) + 2))
        m.d.sync += gap.eq(-self.d - low[2])
        for kind, factor, shift in (
            ("sense_low", self.alpha, UNIT_SHIFT),
            ("sense_m", self.rho, RATIO_SHIFT),
        ):
            product = multiply(m, gap, Delay(m, factor, kind)[1])
            moved = (product + below_point(low[5], shift)) >> shift
            m.d.sync += new[kind].eq(Mux(held, 0, saturate(moved, SENSITIVITY_WIDTH)[0]))
        ahead = saturate(self.ahead, SENSITIVITY_WIDTH)[0]
        m.d.sync += new["sense_r"].eq(Mux(held, 0, ahead))
        return m

    def _memory(self, m: Module, kind: str, stage: int, new: dict[str, Signal]) -> Value:
        """Return a word, addressed at `stage`, 2 clocks later."""
        access = getattr(self, f"access_{kind}")
        memory = Memory(shape=WORD, depth=self.engine.neurons, init=[], attrs=APART)
        m.submodules[kind] = memory
        read, write, word = memory.read_port(), memory.write_port(), Signal(WORD, name=kind)
        m.d.sync += word.eq(read.data)
        m.d.comb += [
            read.addr.eq(Mux(access.active, access.address, self._neuron[stage])),
            access.r_data.eq(word),
            write.addr.eq(Mux(access.active, access.address, self._neuron[WRITTEN])),
            write.data.eq(Mux(access.active, access.w_data, new[kind])),
            write.en.eq(Mux(access.active, access.write, self._valid[WRITTEN])),
        ]
        return word
