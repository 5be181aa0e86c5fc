"""From the input stream to whole frames."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.layer import LayerSpec


def word_layout(width: int, *, learns: bool = False):
    """One word of a frame: `data`; `last` on its last; `start` where it begins a sequence.

    Where a chip learns also `target`, where the step has one, and `freeze`, where it updates
    nothing.
    """
    told = {"target": 1, "freeze": 1} if learns else {}
    return data.StructLayout({"data": signed(width), "last": 1, "start": 1, **told})


class FrameReceiver(wiring.Component):
    """One word per clock; a frame that is too short or too long is dropped whole.

    Parameters
    ----------
    layer
        The first one: length and format of a frame.
    learns
        Whether frames also tell of a target and of freezing.

    Members
    -------
    i
        The stream; `start` is read on the first word.
    halt
        No word is accepted.
    free, w_valid, w_data, w_abort, accept, start
        To the frame buffer; `accept` reserves and commits at once.
    hold
        With `accept`: it is the first frame after a reset and begins a sequence.
    target, freeze
        With `accept`, where it learns.
    error
        A frame was dropped; its last word has come.
    fresh, fresh_write, fresh_data
        No frame accepted since reset; from the bus.
    """

    def __init__(self, layer: LayerSpec, *, learns: bool = False):
        self.layer = layer
        self.told = ("target", "freeze") if learns else ()
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(layer.x_format.width, learns=learns))),
                **dict.fromkeys(self.told, Out(1)),
                "halt": In(1),
                "free": In(1),
                "w_valid": Out(1),
                "w_data": Out(layer.x_format.width),
                "w_abort": Out(1),
                "accept": Out(1),
                "start": Out(1),
                "hold": Out(1),
                "error": Out(1),
                "fresh": Out(1, init=1),
                "fresh_write": In(1),
                "fresh_data": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        column, dropping, began = Signal(range(self.layer.inputs)), Signal(), Signal()
        first, full = Signal(init=1), Signal(init=int(self.layer.inputs == 1))  # of a frame
        word, moves = self.i.payload, Signal()
        m.d.comb += [
            self.i.ready.eq(~self.halt & (self.free | dropping)),
            moves.eq(self.i.valid & self.i.ready),
            self.w_data.eq(word.data),
            self.start.eq(Mux(first, word.start, began)),
            self.hold.eq(self.accept & self.start & self.fresh),
        ]
        for name in self.told:
            heard = Signal(name=f"{name}_heard")
            m.d.comb += getattr(self, name).eq(Mux(first, word[name], heard))
            with m.If(moves & ~dropping):
                m.d.sync += heard.eq(getattr(self, name))
        with m.If(moves & dropping):
            m.d.comb += self.error.eq(word.last)
            m.d.sync += dropping.eq(~word.last)
        with m.Elif(moves):
            m.d.comb += [
                self.w_valid.eq(1),
                self.w_abort.eq(full ^ word.last),
                self.accept.eq(full & word.last),
                self.error.eq(~full & word.last),
            ]
            m.d.sync += [
                began.eq(self.start),
                column.eq(column + 1),
                first.eq(0),
                full.eq(column == self.layer.inputs - 2),
                dropping.eq(full & ~word.last),
            ]
            with m.If(full | word.last):
                m.d.sync += [column.eq(0), first.eq(1), full.eq(self.layer.inputs == 1)]
        with m.If(self.accept):
            m.d.sync += self.fresh.eq(0)
        with m.If(self.fresh_write):
            m.d.sync += self.fresh.eq(self.fresh_data)
        return m
