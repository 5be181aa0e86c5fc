"""Errors on their way to the synapses, and derivatives on their way to the errors."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import APART, AccessSignature
from vle.hw.numeric import Delay


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
        words = {}
        for name, data in (("e", self.w_e), ("signal", self.w_signal)):
            memory = Memory(shape=engine.pe * len(data), depth=engine.groups, init=[], attrs=APART)
            m.submodules[name] = words[name] = memory
            write, read = memory.write_port(granularity=len(data)), memory.read_port()
            m.d.comb += [
                write.addr.eq(group),
                write.data.eq(data.replicate(engine.pe)),
                write.en.eq(Mux(self.w_valid, lane, 0)),
                read.addr.eq(self.group),
            ]
            m.d.sync += getattr(self, name).eq(read.data)
        row = words["signal"].read_port()
        m.d.comb += row.addr.eq(self.row_group)
        lane_read = Delay(m, self.row_lane, "row_lane")[1]
        m.d.sync += self.row_signal.eq(row.data.word_select(lane_read, SIGNAL_WIDTH))
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
        m.submodules.memory = memory = Memory(
            shape=signed(self.width), depth=self.depth, init=[], attrs=APART
        )
        write, read = memory.write_port(), memory.read_port()
        m.d.sync += self.o.eq(read.data)
        m.d.comb += [
            access.r_data.eq(self.o),
            read.addr.eq(Mux(access.active, access.address, self.index)),
            write.addr.eq(Mux(access.active, access.address, self.w_index)),
            write.data.eq(Mux(access.active, access.w_data, self.w_data)),
            write.en.eq(Mux(access.active, access.write, self.w_valid)),
        ]
        return m
