"""Biases that learn: read by each step, then updated by its learning signals."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.noise import ROW, WIDTH
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.align import round_each
from vle.hw.bus import AccessSignature
from vle.hw.learning_signal import counted
from vle.hw.noise import draw, rotated
from vle.hw.numeric import Delay, choose_late
from vle.hw.primitives import RegisteredMemory

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
        shape, access = signed(engine.u_width), self.access
        m.submodules.memory = memory = RegisteredMemory(
            shape, engine.neurons, engine.neuron_memory("bias"), latency=1
        )
        bias = Delay(m, memory.r_data, "bias", first=1)
        shifts = [piece.points.bias for piece in engine.passes]
        sums = [_sum(bias[2], self.signal, shift) for shift in shifts]
        odd = Cat(C(1, 1), self._draw(m, valid[1]))
        widths = [spec.u_format.width for spec in engine.layers]
        words = [_scaled(word, s, len(odd)) for word, s in zip(sums, shifts, strict=True)]
        word = Signal(signed(max(map(len, sums)) + len(odd)), name="total")
        by_shift = dict(zip(shifts, words, strict=True))
        m.d.sync += word.eq(choose_late(m, place[1], shifts, by_shift.__getitem__))
        new, saturated = round_each(m, place, SUM, word, odd, widths)
        m.d.comb += [
            self.bias.eq(bias[1]),
            memory.r_addr.eq(Mux(access.active, access.address, self.neuron)),
            access.r_data.eq(bias[2]),
            memory.w_addr.eq(Mux(access.active, access.address, neuron[WRITTEN])),
            memory.w_data.eq(Mux(access.active, access.w_data, new)),
            memory.w_en.eq(Mux(access.active, access.write, valid[WRITTEN])),
            self.clamped.eq(saturated & valid[WRITTEN]),
            self.clamped_place.eq(place[WRITTEN]),
        ]
        return m

    def _draw(self, m: Module, valid: Value) -> Value:
        """Sum of the row's draw and that of the column of biases: stage `SUM`."""
        column, total = Signal(WIDTH), Signal(WIDTH, name="draw")
        noise, first = (Delay(m, word, "draws")[1] for word in (self.noise, self.first))
        row = draw(m, counted(m, noise, valid, first, ROW), 0, "row")
        with m.If(valid & first):
            m.d.sync += column.eq(draw(m, rotated(noise, 16), 0, "column"))
        m.d.sync += total.eq(row + column)
        return total


def _scaled(total: Value, shift: int, below: int) -> Value:
    """Word of which rounding drops `below` bits instead of `shift`, without those under a draw."""
    left = below - max(shift, 0)
    return total.shift_left(left) if left >= 0 else total.shift_right(-left)


def _sum(bias: Value, signal: Value, shift: int) -> Value:
    return (bias << shift) + signal if shift >= 0 else bias + (signal << -shift)
