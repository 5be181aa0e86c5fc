"""Frames from the host: taken apart, checked, and kept where they are wanted."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import BEGIN, CHECK, HEADER, LENGTH, LinkSpec
from vle.hw.link.token import Kind, token_stream


class Inbox(wiring.Component):
    """Takes one byte per clock, always.

    The payload goes to its slot as it comes, from place `BEGIN` on, and where it ended to place
    `LENGTH`. Whether it counts is known when the checksum has come: `taken` or
    `damaged` follow the end of a frame after 1 clock, and the header stands then.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    i : In(token_stream())
        Bytes and ends of frames.
    kind, session, seq, ack : Out
        The header.
    flag : Out(1)
        Lowest bit of the payload's second byte: of a HELLO, whether the chip is to be cleared.
    wanted : In(1)
        Whether a frame of this header is to be kept; heard with the first byte behind it.
    keep, at, data : Out
        A byte for the slot, and its place there.
    end : Out
        Place behind the payload of the last request that was kept.
    taken, stored, damaged : Out(1)
        A frame is good; and it was kept. A frame was dropped.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "i": In(token_stream()),
                "kind": Out(4),
                "session": Out(8),
                "seq": Out(8),
                "ack": Out(8),
                "flag": Out(1),
                "wanted": In(1),
                "keep": Out(1),
                "at": Out(spec.place_bits),
                "data": Out(8),
                "end": Out(spec.place_bits),
                "taken": Out(1),
                "stored": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bits, token = self.spec.place_bits, self.i.p
        end = Signal()
        crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.crc = ResetInserter(end)(crc)
        first = (1 << bits + 1) + BEGIN - HEADER
        place = Signal(bits + 1, init=first)  # of this byte; before 0 and up to BEGIN: the header
        too_long = BEGIN + self.spec.payload_max + CHECK + 1
        header, heading, leading, keeps = Signal(32), Signal(), Signal(), Signal()
        byte, behind = Signal(), Signal(bits)
        m.d.comb += [
            self.i.ready.eq(1),
            end.eq(self.i.valid & token.end),
            byte.eq(self.i.valid & ~token.end),
            crc.data.eq(token.data),
            crc.valid.eq(byte),
            heading.eq(place[-1] | (place < BEGIN)),
            leading.eq(place == BEGIN),
            Cat(self.kind).eq(header[4:8]),
            Cat(self.session, self.seq, self.ack).eq(header[8:]),
            behind.eq(place - CHECK),
        ]
        with m.If(byte):
            with m.If(place != too_long):
                m.d.sync += place.eq(place + 1)
            with m.If(heading):
                m.d.sync += header.eq(Cat(header[8:], token.data))
            with m.If(leading):
                m.d.sync += keeps.eq(self.wanted)
            with m.If(place == BEGIN + 1):
                m.d.sync += self.flag.eq(token.data[0])
        # the length of the payload is the last that is written
        m.d.comb += [
            self.at.eq(Mux(token.end, LENGTH, place)),
            self.data.eq(Mux(token.end, behind, token.data)),
            self.keep.eq(
                Mux(
                    token.end,
                    end & keeps,
                    byte & ~heading & (place != too_long) & Mux(leading, self.wanted, keeps),
                )
            ),
        ]
        whole, good = Signal(), Signal()
        m.d.comb += [
            whole.eq(~place[-1] & (place >= BEGIN + CHECK) & (place != too_long)),
            good.eq(whole & (token.data == 0) & crc.match_detected),
        ]
        m.d.sync += [self.taken.eq(end & good), self.damaged.eq(end & ~good)]
        m.d.sync += self.stored.eq(keeps)
        with m.If(end):
            m.d.sync += [place.eq(first), keeps.eq(0)]
            with m.If(keeps & (self.kind == Kind.REQUEST)):
                m.d.sync += self.end.eq(behind)
        return m
