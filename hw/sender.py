"""From the top layer's rates to the output stream."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.hw.receiver import word_layout
from vle.hw.tokens import tokens


class FrameSender(wiring.Component):
    """A queue of whole frames; the top layer asks for room before it begins one.

    Latency 2 clocks, one word per clock.

    Parameters
    ----------
    chip
        Length, format and number of frames.

    Members
    -------
    free, reserve
        Whether there is room for a frame; take it.
    w_valid, w_data, w_last, w_start
        Its words.
    o
        The stream; `start` is on every word of a frame that began a sequence.
    """

    def __init__(self, chip: ChipSpec):
        self.layer, self.slots = chip.network.layers[-1], chip.output_slots
        width = self.layer.rate_format.width
        super().__init__(
            {
                "free": Out(1),
                "reserve": In(1),
                "w_valid": In(1),
                "w_data": In(width),
                "w_last": In(1),
                "w_start": In(1),
                "o": Out(stream.Signature(word_layout(width))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layout = word_layout(self.layer.rate_format.width)
        depth = self.slots * self.layer.outputs + 2
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.size, depth=depth)
        word = Signal(layout)
        sent = self.o.valid & self.o.ready & self.o.payload.last
        m.d.comb += [
            word.data.eq(self.w_data),
            word.last.eq(self.w_last),
            word.start.eq(self.w_start),
            queue.w_data.eq(word),
            queue.w_en.eq(self.w_valid),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.free.eq(tokens(m, sent, self.reserve, self.slots, self.slots)[1]),
        ]
        return m
