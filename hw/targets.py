"""From the stream of targets to the words that the top layer's errors are made of."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.targets import TargetSpec


def target_layout(width: int):
    """One word of a target: `data`; `last` on its last; `error`: it is the descent itself."""
    return data.StructLayout({"data": signed(width), "last": 1, "error": 1})


class TargetBuffer(wiring.Component):
    """A ring of target frames; one that is too short or too long is dropped whole.

    Parameters
    ----------
    target
        Width, length and number of frames.

    Members
    -------
    i
        The stream; `error` is read on the first word.
    dropped
        A frame was dropped; its last word has come.
    ready, is_error
        Whether a frame is there; whether its words are the descent of the loss itself.
    take, o
        Its next word, which stands 2 clocks later; the last one taken frees the frame.
    """

    def __init__(self, target: TargetSpec):
        self.target = target
        super().__init__(
            {
                "i": In(stream.Signature(target_layout(target.width))),
                "dropped": Out(1),
                "ready": Out(1),
                "is_error": Out(1),
                "take": In(1),
                "o": Out(signed(target.width)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        slots, final = self.target.slots, self.target.columns - 1
        count, accept, release = Signal(range(slots + 1)), Signal(), Signal()
        w_slot, r_slot = Signal(range(max(2, slots))), Signal(range(max(2, slots)))
        column = Signal(range(max(2, self.target.columns)))
        last = Signal(init=int(final == 0))  # the next word is its frame's last
        m.d.comb += [self.ready.eq(count != 0), release.eq(self.take & last)]
        m.d.sync += count.eq(count + accept - release)
        with m.If(self.take):
            m.d.sync += [column.eq(column + 1), last.eq(column == final - 1)]
        with m.If(release):
            m.d.sync += [column.eq(0), last.eq(final == 0)]
        for slot, moves in ((w_slot, accept), (r_slot, release)):
            with m.If(moves):
                m.d.sync += slot.eq(Mux(slot == slots - 1, 0, slot + 1))
        write = self._receive(m, count != slots, accept, w_slot)
        m.submodules.memory = memory = Memory(
            shape=signed(self.target.width), depth=slots * self.target.stride, init=[]
        )
        w_port, r_port = memory.write_port(), memory.read_port()
        w_column, w_valid = write
        bits = self.target.column_bits
        m.d.comb += [
            w_port.addr.eq(Cat(w_column[:bits], w_slot)),
            w_port.data.eq(self.i.payload.data),
            w_port.en.eq(w_valid),
            r_port.addr.eq(Cat(column[:bits], r_slot)),
        ]
        m.d.sync += self.o.eq(r_port.data)
        is_error = Signal(slots)
        with m.If(w_valid & (w_column == 0)):
            m.d.sync += is_error.bit_select(w_slot, 1).eq(self.i.payload.error)
        m.d.comb += self.is_error.eq(is_error.bit_select(r_slot, 1))
        return m

    def _receive(self, m: Module, free, accept: Signal, w_slot: Signal):
        """Take words; return the column of the next one and whether it is written."""
        column = Signal(range(max(2, self.target.columns)), name="w_column")
        dropping, moves, valid = Signal(), Signal(), Signal(name="w_valid")
        full, last = column == self.target.columns - 1, self.i.payload.last
        m.d.comb += [
            self.i.ready.eq(free | dropping),
            moves.eq(self.i.valid & self.i.ready),
            valid.eq(moves & ~dropping),
            accept.eq(valid & full & last),
            self.dropped.eq(Mux(dropping, moves & last, valid & ~full & last)),
        ]
        with m.If(moves & dropping):
            m.d.sync += dropping.eq(~last)
        with m.Elif(moves):
            m.d.sync += column.eq(Mux(full | last, 0, column + 1))
            m.d.sync += dropping.eq(full & ~last)
        return column, valid
