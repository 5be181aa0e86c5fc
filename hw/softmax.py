"""Softmax of the top layer's rates, for the descent of cross-entropy."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.latency import SOFTMAX_STAGES
from vle.compiler.layer import LayerSpec
from vle.compiler.learning import top
from vle.compiler.learning.top import FAR, MANTISSA, RECIPROCAL
from vle.hw.bus import APART, AccessSignature
from vle.hw.exponential import STAGES, Exponential
from vle.hw.numeric import Delay, multiply

QUOTIENT = RECIPROCAL - MANTISSA + 1  # bits of 2**RECIPROCAL / S, since S >= 2**MANTISSA
PROBABILITY = signed(top.PROBABILITY_BITS + 2)
ADDED = STAGES + 4  # stage of a rate's part within the sum
WRITTEN = 2 + ADDED - 1 + 2  # stage of a rate's probability, from its address
READ = SOFTMAX_STAGES - ADDED - 5  # of the first rate read again, after the last one written


class Softmax(wiring.Component):
    """Rates of the top layer in, in the order of rows; probabilities by row once all are there.

    The sum of exponentials grows as the rates come; a serial divider, a bit per clock, makes its
    reciprocal; then each exponential is computed again and multiplied. Index 0 may be asked for
    `SOFTMAX_STAGES` clocks after the last rate, the rows behind it one per clock.

    Parameters
    ----------
    spec
        The top layer.

    Members
    -------
    w_valid, w_index, w_data
        A rate.
    index, o
        A row; its probability 2 clocks later.
    ready
        Index 0 may be asked for. It falls with the first rate of a frame.
    access
        From the bus: rates. The last one written starts the computation anew.

    Attribute `nothing` is the probability where all rates are 0.
    """

    def __init__(self, spec: LayerSpec):
        self.spec = spec
        zeros = np.zeros(spec.outputs, np.int64)
        self.nothing = int(top.softmax(zeros, spec.rate_format.f_bits)[0])
        index = range(max(2, spec.outputs))
        super().__init__(
            {
                "w_valid": In(1),
                "w_index": In(index),
                "w_data": In(signed(spec.rate_format.width)),
                "index": In(index),
                "o": Out(PROBABILITY),
                "ready": Out(1, init=1),
                "access": In(AccessSignature(max(1, (spec.outputs - 1).bit_length()))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.exponential = unit = Exponential(self.spec.rate_format)
        last = self.spec.outputs - 1
        row, scan, again = Signal.like(self.index), Signal(), Signal()
        rate = self._rates(m, row)
        scanned, rows = Delay(m, scan, "scanned"), Delay(m, row, "scan_row")
        adding = Mux(scanned[2], ~again, self.w_valid)
        place = Mux(scanned[2], rows[2], self.w_index)
        m.d.comb += unit.r.eq(Mux(scanned[2], rate, self.w_data))
        valid, places = Delay(m, adding, "adding"), Delay(m, place, "place")
        total, part = self._add(m, unit, valid, Delay(m, place == 0, "first"))

        ended = valid[ADDED] & (places[ADDED] == last)
        quotient = self._divide(m, total, ended)
        written = Delay(m, scan & again, "written")[WRITTEN]
        self._answer(m, multiply(m, part, quotient), written, rows[WRITTEN])
        begin_again = Delay(m, adding & (place == last), "last")[READ]
        begin = Signal(name="begin")
        m.d.sync += begin.eq(self.access.write & (self.access.address == last))
        with m.If(scan):
            m.d.sync += [row.eq(Mux(row == last, 0, row + 1)), scan.eq(row != last)]
        with m.If(begin | begin_again):
            m.d.sync += [scan.eq(1), again.eq(begin_again)]
        with m.If((self.w_valid & (self.w_index == 0)) | begin):
            m.d.sync += self.ready.eq(0)
        done = Delay(m, begin_again, "done")[SOFTMAX_STAGES - READ - 1]
        with m.If(done):
            m.d.sync += self.ready.eq(1)
        return m

    def _rates(self, m: Module, row: Value) -> Value:
        """Rate of a row, 2 clocks later; all are kept for it, and for the bus."""
        access, shape = self.access, signed(self.spec.rate_format.width)
        m.submodules.rates = memory = Memory(
            shape=shape, depth=self.spec.outputs, init=[], attrs=APART
        )
        read, write, word = memory.read_port(), memory.write_port(), Signal(shape)
        bus, bus_word = memory.read_port(), Signal(shape)
        m.d.sync += [word.eq(read.data), bus_word.eq(bus.data)]
        m.d.comb += [
            read.addr.eq(row),
            bus.addr.eq(access.address),
            access.r_data.eq(bus_word),
            write.addr.eq(Mux(access.active, access.address, self.w_index)),
            write.data.eq(Mux(access.active, access.w_data, self.w_data)),
            write.en.eq(Mux(access.active, access.write, self.w_valid)),
        ]
        return word

    def _add(self, m: Module, unit: Exponential, valid: Delay, first: Delay) -> tuple[Value, Value]:
        """Sum so far, in units of the largest exponential so far, and an exponential in these."""
        largest = Signal.like(unit.whole)
        total = Signal(MANTISSA + 2 + self.spec.outputs.bit_length())
        now, begins = valid[STAGES], first[STAGES] & valid[STAGES]
        higher, lower = unit.whole - largest, largest - unit.whole
        above, below = (
            Signal(signed(len(higher)), name=name, reset_less=True) for name in ("above", "below")
        )
        m.d.sync += [above.eq(Mux(begins, 0, higher)), below.eq(Mux(begins, 0, lower))]
        up, down = (Signal(range(FAR + 1), name=name, reset_less=True) for name in ("up", "down"))
        m.d.sync += [up.eq(_limited(above)), down.eq(_limited(below))]
        with m.If(begins | (now & (higher > 0))):
            m.d.sync += largest.eq(unit.whole)
        mantissa = Delay(m, unit.mantissa, "mantissa")[2]
        part = Signal.like(unit.mantissa, name="part", reset_less=True)
        m.d.sync += part.eq(mantissa >> down)
        before = Mux(first[STAGES + 3], 0, total >> Delay(m, up, "up")[1])
        with m.If(valid[STAGES + 3]):
            m.d.sync += total.eq(before + part)
        return total, part

    def _divide(self, m: Module, total: Value, start: Value) -> Value:
        """`2**RECIPROCAL // total`, `QUOTIENT + 1` clocks after `start`."""
        quotient, rest = Signal(QUOTIENT, reset_less=True), Signal(len(total) + 1, reset_less=True)
        left = Signal(range(QUOTIENT + 1))
        twice = rest << 1
        fits = twice >= total
        with m.If(start):
            m.d.sync += [rest.eq(1 << RECIPROCAL - QUOTIENT), left.eq(QUOTIENT)]
        with m.Elif(left != 0):
            m.d.sync += [
                left.eq(left - 1),
                rest.eq(Mux(fits, twice - total, twice)),
                quotient.eq(Cat(fits, quotient)),
            ]
        return quotient

    def _answer(self, m: Module, product: Value, valid: Value, row: Value) -> None:
        """Keep probabilities by row."""
        m.submodules.memory = memory = Memory(
            shape=PROBABILITY, depth=self.spec.outputs, init=[], attrs=APART
        )
        read, write = memory.read_port(), memory.write_port()
        m.d.sync += self.o.eq(read.data)
        m.d.comb += [
            read.addr.eq(self.index),
            write.addr.eq(row),
            write.data.eq(product >> RECIPROCAL - top.PROBABILITY_BITS),
            write.en.eq(valid),
        ]


def _limited(word: Value) -> Value:
    """Shift by it, within what leaves anything."""
    return Mux(word < 0, 0, Mux(word > FAR, FAR, word))
