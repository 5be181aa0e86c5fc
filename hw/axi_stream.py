"""AXI4-Stream ports and their meeting with the streams inside."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def word_width(width: int) -> int:
    """Bits of TDATA for words of `width` bits: 16 or 32."""
    if not 1 <= width <= 32:
        raise ValueError(f"width of a stream word must be in 1..32 bits, not {width}")
    return 16 if width <= 16 else 32


class Signature(wiring.Signature):
    """An AXI4-Stream, seen from its transmitter.

    Parameters
    ----------
    width, user_width
        Bits of TDATA and of TUSER.

    Members
    -------
    tdata : Out(width)
        A signed word of a frame.
    tlast : Out(1)
        Whether it is the last word of its frame.
    tuser : Out(user_width)
        Flags of its frame, heard with the first word; of inputs and outputs the lowest bit says
        whether the frame begins a sequence.
    tvalid, tready : Out(1), In(1)
        Handshake.

    References
    ----------
    AMBA AXI-Stream Protocol Specification, ARM IHI 0051B.
    """

    def __init__(self, width: int, user_width: int = 1) -> None:
        super().__init__(
            {
                "tdata": Out(width),
                "tlast": Out(1),
                "tuser": Out(user_width),
                "tvalid": Out(1),
                "tready": In(1),
            }
        )


def receive(m: Module, axis, stream, flags: Sequence[str] = ("start",)) -> None:
    """Connect port `axis` to the frame stream `stream`; bits beyond the word's are ignored.

    `flags` are the names that the bits of TUSER have inside, from the lowest.
    """
    m.d.comb += [
        stream.p.data.eq(axis.tdata),
        stream.p.last.eq(axis.tlast),
        *(getattr(stream.p, name).eq(axis.tuser[bit]) for bit, name in enumerate(flags)),
        stream.valid.eq(axis.tvalid),
        axis.tready.eq(stream.ready),
    ]


def transmit(m: Module, stream, axis) -> None:
    """Connect the frame stream `stream` to port `axis`, words sign-extended."""
    m.d.comb += [
        axis.tdata.eq(stream.p.data),
        axis.tlast.eq(stream.p.last),
        axis.tuser.eq(stream.p.start),
        axis.tvalid.eq(stream.valid),
        stream.ready.eq(axis.tready),
    ]
