"""Errors on their way to the synapses, and derivatives on their way to the errors."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import APART, AccessSignature
from vle.hw.numeric import selected
from vle.hw.primitives import RegisteredMemory


class ErrorMemory(wiring.Component):
    """Errors and learning signals of all rows, one word for the `pe` rows of a group.

    Rows come in order, one by one; synapses read whole groups, neurons a row's signal. Lanes
    beyond a layer's last row are never written, and 0.

    Parameters
    ----------
    engine
        Groups and widths.

    Members
    -------
    w_valid, w_last, w_e, w_signal
        The next row; whether it is the last of its layer.
    written
        With it: it is the last of its group.
    group, e, signal
        Group at stage 0, its words at stage 2, row 0 in the lowest bits.
    row_group, row_lane, row_signal
        A row at stage 0, its signal at stage 2.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        group = range(max(2, engine.groups))
        super().__init__(
            {
                "w_valid": In(1),
                "w_last": In(1),
                "w_e": In(signed(engine.error_width)),
                "w_signal": In(signed(SIGNAL_WIDTH)),
                "written": Out(1),
                "group": In(group),
                "e": Out(engine.pe * engine.error_width),
                "signal": Out(engine.pe * SIGNAL_WIDTH),
                "row_group": In(group),
                "row_lane": In(range(max(2, engine.pe))),
                "row_signal": Out(signed(SIGNAL_WIDTH)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = self.engine
        lane, group = Signal(engine.pe, init=1), Signal.like(self.group)
        m.d.comb += self.written.eq(self.w_valid & (self.w_last | lane[-1]))
        with m.If(self.w_valid):
            m.d.sync += lane.eq(lane.rotate_left(1))
        with m.If(self.written):
            m.d.sync += lane.eq(1)
            m.d.sync += group.eq(Mux(group == engine.groups - 1, 0, group + 1))
        enable = Mux(self.w_valid, lane, 0)
        m.submodules.e = errors = RegisteredMemory(
            engine.pe * engine.error_width, engine.groups, lanes=engine.pe
        )
        m.d.comb += [
            errors.w_addr.eq(group),
            errors.w_data.eq(self.w_e.replicate(engine.pe)),
            errors.w_en.eq(enable),
            errors.r_addr.eq(self.group),
            self.e.eq(errors.r_data),
        ]
        m.submodules.signal = signals = Memory(
            shape=engine.pe * SIGNAL_WIDTH, depth=engine.groups, init=[], attrs=APART
        )
        write = signals.write_port(granularity=SIGNAL_WIDTH)
        read, row = signals.read_port(), signals.read_port()
        lane_read = Signal(engine.pe, name="row_lane", reset_less=True)
        m.d.comb += [
            write.addr.eq(group),
            write.data.eq(self.w_signal.replicate(engine.pe)),
            write.en.eq(enable),
            read.addr.eq(self.group),
            row.addr.eq(self.row_group),
        ]
        lanes = range(0, len(row.data), SIGNAL_WIDTH)
        m.d.sync += [
            self.signal.eq(read.data),
            lane_read.eq(1 << self.row_lane),
            self.row_signal.eq(
                selected(lane_read, [row.data[k : k + SIGNAL_WIDTH] for k in lanes])
            ),
        ]
        return m


class WordMemory(wiring.Component):
    """Words from the neurons of a step to the errors of the next: derivatives, rates of the top.

    Parameters
    ----------
    width, depth
        Bits of a word, signed, and words.

    Members
    -------
    w_valid, w_index, w_data
        A word.
    index, o
        The word stands 2 clocks later.
    access
        From the bus.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        index, bits = range(max(2, depth)), max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "w_valid": In(1),
                "w_index": In(index),
                "w_data": In(signed(width)),
                "index": In(index),
                "o": Out(signed(width)),
                "access": In(AccessSignature(bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        access = self.access
        m.submodules.memory = memory = RegisteredMemory(signed(self.width), self.depth)
        m.d.comb += [
            self.o.eq(memory.r_data),
            access.r_data.eq(memory.r_data),
            memory.r_addr.eq(Mux(access.active, access.address, self.index)),
            memory.w_addr.eq(Mux(access.active, access.address, self.w_index)),
            memory.w_data.eq(Mux(access.active, access.w_data, self.w_data)),
            memory.w_en.eq(Mux(access.active, access.write, self.w_valid)),
        ]
        return m
