"""From bytes on the line to frames."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.hw.link.token import byte_stream, token_stream


class CobsDecoder(wiring.Component):
    """Undoes consistent overhead byte stuffing; one byte per clock, no latency.

    Each byte but the first of a frame makes one of the frame; 0 makes its end. Zeros between frames
    make nothing. Frames are shorter than 254 bytes: the code 255, behind which no 0 stands, belongs
    to no frame that a receiver would take.

    Members
    -------
    i : In(byte_stream())
        Bytes from the line.
    o : Out(token_stream())
        Bytes of a frame, then its end; `data` of the end is 0 where the last block was whole.

    References
    ----------
    S. Cheshire, M. Baker, Consistent Overhead Byte Stuffing, doi:10.1109/90.769765.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(byte_stream()), "o": Out(token_stream())})

    def elaborate(self, platform) -> Module:
        m = Module()
        left = Signal(8)  # bytes before the next code
        begun = Signal()  # a byte of a frame has come
        byte, zero, code = self.i.payload, Signal(), Signal()
        m.d.comb += [
            zero.eq(byte == 0),
            code.eq(left == 0),
            self.o.p.end.eq(zero),
            self.o.p.data.eq(Mux(zero, ~code, Mux(code, 0, byte))),
            self.o.valid.eq(self.i.valid & begun),
            self.i.ready.eq(self.o.ready | ~begun),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += begun.eq(~zero)
            with m.If(zero):
                m.d.sync += left.eq(0)
            with m.Else():
                m.d.sync += left.eq(Mux(code, byte, left) - 1)
        return m
