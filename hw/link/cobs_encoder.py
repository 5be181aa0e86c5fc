"""From frames to bytes on the line."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.hw.link.token import byte_stream, token_stream
from vle.hw.primitives import RegisteredMemory

FRAMES = 2  # one on its way out, another whole or on its way in
LONGEST = 250  # bytes of a frame, its first code and its 0 among them


class CobsEncoder(wiring.Component):
    """Consistent overhead byte stuffing by a ring in which codes are filled in.

    The place of each 0 is left open; when the next comes, or the end, the distance is written
    there. So one byte goes in per clock, and none is read twice. The line sees a frame when it is
    whole, and then without a gap: 1 byte per clock, the first 4 clocks after the end.

    Parameters
    ----------
    longest
        Bytes of a frame on the line.

    Members
    -------
    i : In(token_stream())
        Bytes of a frame, then its end.
    o : Out(byte_stream())
        Bytes for the line, a 0 behind each frame.
    free : Out(1)
        None is on its way in, and there is room for one; it begins only then.
    empty : Out(1)
        Nothing is on its way.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.depth = 1 << (FRAMES * longest).bit_length()
        super().__init__(
            {
                "i": In(token_stream()),
                "o": Out(byte_stream()),
                "free": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.ring = ring = RegisteredMemory(8, self.depth, latency=1)
        code = Signal(range(self.depth))  # the place that is open; the line sees what is before it
        write = Signal(range(self.depth), init=1)
        read, following = Signal.like(code), Signal.like(code)
        frames, begun = Signal(range(FRAMES + 1)), Signal()
        sealed, ending, gone, goes = Signal(), Signal(), Signal(), Signal()
        token = self.i.p
        m.d.comb += [
            self.free.eq((frames != FRAMES) & ~begun),
            self.empty.eq(frames == 0),
            # a byte is written where it belongs; 0 and the end close what is open
            ring.w_addr.eq(Mux(token.end | (token.data == 0), code, write)),
            ring.w_data.eq(Mux(token.end | (token.data == 0), write - code, token.data)),
        ]
        with m.FSM():
            with m.State("FRAME"):
                m.d.comb += [self.i.ready.eq(1), ring.w_en.eq(self.i.valid)]
                with m.If(self.i.valid):
                    m.d.sync += begun.eq(1)
                    with m.If(token.end):
                        m.next = "END"
                    with m.Else():
                        m.d.sync += write.eq(write + 1)
                        with m.If(token.data == 0):
                            m.d.sync += code.eq(write)
            with m.State("END"):
                m.d.comb += [ring.w_en.eq(1), ring.w_addr.eq(write), ring.w_data.eq(0)]
                m.d.sync += write.eq(write + 1)
                m.next = "SEAL"
            with m.State("SEAL"):
                m.d.comb += sealed.eq(1)
                m.d.sync += [code.eq(write), write.eq(write + 1), begun.eq(0)]
                m.next = "FRAME"
        # towards the line: the byte at `read` is asked for again until it goes; of the last whole
        # frame none goes behind its 0
        m.d.comb += [
            ending.eq(self.o.valid & (self.o.payload == 0)),
            gone.eq(ending & self.o.ready),
            goes.eq((~self.o.valid | self.o.ready) & (frames > ending)),
            following.eq(read + goes),
            ring.r_addr.eq(following),
        ]
        m.d.sync += [read.eq(following), frames.eq(frames + sealed - gone)]
        with m.If(goes):
            m.d.sync += [self.o.payload.eq(ring.r_data), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
