"""Bytes over SPI, as the one who is selected: mode 0, most significant bit first."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from vle.hw.link.token import byte_stream


class SpiDevice(wiring.Component):
    """Samples the wires by its own clock: 8 or more clocks for each of `sck`.

    `cs_n` may rise and fall anywhere between bytes; within one, what came of it is dropped, and the
    byte that was to go is lost if its first bit was clocked. While there is nothing to say, 0x00
    goes out.

    Members
    -------
    sck, cs_n, mosi : In(1)
        From the master.
    miso, miso_enable : Out(1)
        To it; stands 4 clocks after `sck` or `cs_n` fell. It is driven while selected, by `cs_n` as
        it comes: others may share the wire.
    i : In(byte_stream())
        Bytes to send.
    o : Out(byte_stream())
        Bytes that have come; one that is not taken before the next is lost.
    error : Out(1)
        `cs_n` rose within a byte.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "sck": In(1),
                "cs_n": In(1, init=1),
                "mosi": In(1),
                "miso": Out(1),
                "miso_enable": Out(1),
                "i": In(byte_stream()),
                "o": Out(byte_stream()),
                "error": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        sck, off, mosi = Signal(), Signal(init=1), Signal()
        for name, signal, init in (("sck", sck, 0), ("cs_n", off, 1), ("mosi", mosi, 0)):
            synchronizer = FFSynchronizer(getattr(self, name), signal, init=init)
            m.submodules[f"{name}_synchronizer"] = synchronizer
        before, was_off = Signal(), Signal(init=1)
        rises, falls = Signal(), Signal()
        came, going, count = Signal(8), Signal(8), Signal(3)  # bits of this byte that have come
        offered = Signal()  # what goes is a byte of the stream
        m.d.sync += [before.eq(sck), was_off.eq(off), self.error.eq(off & (count != 0))]
        m.d.comb += [
            rises.eq(sck & ~before & ~off),
            falls.eq(~sck & before & ~off),
            self.miso.eq(going[7]),
            self.miso_enable.eq(~self.cs_n),
            # taken with its first bit: one that was shown and not clocked stays
            self.i.ready.eq(rises & (count == 0) & offered),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(rises):
            m.d.sync += [came.eq(Cat(mosi, came)), count.eq(count + 1)]
            with m.If(count == 7):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(Cat(mosi, came))]
        with m.If(falls):
            m.d.sync += going.eq(going << 1)
        with m.If(off):
            m.d.sync += count.eq(0)
        with m.If((falls & (count == 0)) | (was_off & ~off)):
            m.d.sync += [going.eq(Mux(self.i.valid, self.i.payload, 0)), offered.eq(self.i.valid)]
        return m
