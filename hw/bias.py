"""Biases that learn: read by each step, then updated by its learning signals."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.noise import ROW, WIDTH
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import APART, AccessSignature
from vle.hw.learning_signal import counted, round_stochastically
from vle.hw.noise import draw, rotated
from vle.hw.numeric import Delay, choose, saturate_each

SUM = 3  # stage of bias and signal together
WRITTEN = 4


class Bias(wiring.Component):
    """`b = sat(sr((b * 2**k + signal) / 2**k))`, a neuron per clock, written back at stage 4.

    Parameters
    ----------
    engine
        Layers, formats and initial biases.

    Members
    -------
    valid, neuron, place, first, noise
        A neuron, whether it is its layer's first, and the state of the draws: stage 0.
    bias
        Before the update: stage 1, straight out of the memory.
    signal
        Stage 2.
    clamped, clamped_place
        Whether the new word was clamped, and the layer it is of: stage 4.
    access
        From the bus.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        place = range(max(2, len(engine.passes)))
        bits = max(1, (engine.neurons - 1).bit_length())
        super().__init__(
            {
                "valid": In(1),
                "neuron": In(range(max(2, engine.neurons))),
                "place": In(place),
                "first": In(1),
                "noise": In(32),
                "bias": Out(signed(engine.u_width)),
                "signal": In(signed(SIGNAL_WIDTH)),
                "clamped": Out(1),
                "clamped_place": Out(place),
                "access": In(AccessSignature(bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = self.engine
        valid, place = Delay(m, self.valid, "valid"), Delay(m, self.place, "place")
        neuron = Delay(m, self.neuron, "neuron")
        shape, new = signed(engine.u_width), Signal(signed(engine.u_width))
        m.submodules.memory = memory = Memory(
            shape=shape,
            depth=engine.neurons,
            init=engine.neuron_memory("bias"),
            attrs=APART,
        )
        read, write, access = memory.read_port(), memory.write_port(), self.access
        bias = Delay(m, read.data, "bias", first=1)
        shifts = [piece.points.bias for piece in engine.passes]
        sums = [_sum(bias[2], self.signal, shift) for shift in shifts]
        total = Signal(signed(max(map(len, sums))))
        m.d.sync += total.eq(choose(place[2], range(len(sums)), sums.__getitem__))
        odd = Cat(C(1, 1), Delay(m, self._draw(m), "draw", first=2)[SUM])
        word = choose(place[SUM], shifts, lambda shift: round_stochastically(total, odd, shift))
        widths = [spec.u_format.width for spec in engine.layers]
        saturated = Signal()
        m.d.sync += Cat(new, saturated).eq(saturate_each(place[SUM], word, widths))
        m.d.comb += [
            self.bias.eq(bias[1]),
            read.addr.eq(Mux(access.active, access.address, self.neuron)),
            access.r_data.eq(bias[2]),
            write.addr.eq(Mux(access.active, access.address, neuron[WRITTEN])),
            write.data.eq(Mux(access.active, access.w_data, new)),
            write.en.eq(Mux(access.active, access.write, valid[WRITTEN])),
            self.clamped.eq(saturated & valid[WRITTEN]),
            self.clamped_place.eq(place[WRITTEN]),
        ]
        return m

    def _draw(self, m: Module) -> Value:
        """Sum of the row's draw and that of the column of biases: stage 2."""
        column, total = Signal(WIDTH), Signal(WIDTH, name="draw")
        row = draw(m, counted(m, self.noise, self.valid, self.first, ROW), 0, "row")
        with m.If(self.valid & self.first):
            m.d.sync += column.eq(draw(m, rotated(self.noise, 16), 0, "column"))
        m.d.sync += total.eq(row + column)
        return total


def _sum(bias: Value, signal: Value, shift: int) -> Value:
    return (bias << shift) + signal if shift >= 0 else bias + (signal << -shift)
