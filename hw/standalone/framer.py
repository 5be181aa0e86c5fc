"""From samples to input frames."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.hw import axi_stream


def sample_layout(width: int):
    """One word: `data`; `first` of its frame; `wrong` where the sensor has failed."""
    return data.StructLayout({"data": signed(width), "first": 1, "wrong": 1})


class Framer(wiring.Component):
    """Collects one word of each input, then offers them as a frame.

    Words that come while a frame stands here are lost, and so is the frame that they are part of;
    so is one with a word that is wrong.

    Parameters
    ----------
    words
        Of a frame.
    width
        Bits of a word.
    signature
        Of the stream of frames.

    Members
    -------
    i : In(stream of sample_layout(width))
        Words.
    o : Out(signature)
        Frames.
    user : In
        TUSER of a frame.
    drop : In(1)
        Forget the frame that stands here; not while it is offered on.
    whole : Out(1)
        A frame is complete.
    """

    def __init__(self, words: int, width: int, signature: axi_stream.Signature) -> None:
        self.words, self.width = words, width
        super().__init__(
            {
                "i": In(stream.Signature(sample_layout(width), always_ready=True)),
                "o": Out(signature),
                "user": In(signature.members["tuser"].shape),
                "drop": In(1),
                "whole": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        held, word = Signal(self.words * self.width), Signal(signed(self.width))
        here, going, lost = Signal(range(self.words + 1)), Signal(), Signal()
        m.d.comb += [
            word.eq(held[: self.width]),
            self.o.tdata.eq(word),
            self.o.tvalid.eq(going),
            self.o.tlast.eq(here == 1),
            self.o.tuser.eq(self.user),
        ]
        self._collect(m, held, here, going, lost)
        with m.If(self.o.tvalid & self.o.tready):
            m.d.sync += [held.eq(held >> self.width), here.eq(here - 1), going.eq(here != 1)]
        with m.If(going & self.drop):
            m.d.sync += [going.eq(0), here.eq(0)]
        with m.If(self.whole):
            m.d.sync += going.eq(1)
        return m

    def _collect(self, m: Module, held: Signal, here: Signal, going: Signal, lost: Signal) -> None:
        """Shift words in, the first one to the lowest place."""
        p = self.i.payload
        count, spoilt = Signal.like(here), Signal()
        m.d.comb += [
            count.eq(here),
            spoilt.eq(going | p.wrong | (lost & ~p.first)),
        ]
        with m.If(p.first):
            m.d.comb += count.eq(0)
        with m.If(self.i.valid):
            m.d.sync += lost.eq(spoilt)
            with m.If(~spoilt):
                m.d.sync += here.eq(count + 1)
                m.d.sync += held.eq(
                    held[self.width :] | p.data.as_unsigned() << len(held) - self.width
                )
                m.d.comb += self.whole.eq(count == self.words - 1)
