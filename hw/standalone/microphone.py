"""Samples of an I2S microphone."""

from __future__ import annotations

from math import ceil

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vle.hw.standalone.parts import Microphone

PADS = wiring.Signature({"sck": Out(1), "ws": Out(1), "sd": In(1)})
SLOT = 32  # clocks of a side
BITS = 24  # of a sample, from the second clock of a slot on


class I2sReceiver(wiring.Component):
    """Drives SCK and WS without end and hears 24 bits of each side, most significant bit first.

    A sample of every side comes all `128 * half` clocks of the design; left is while WS is low.

    Parameters
    ----------
    spec
        The microphone.
    clock_hz
        Of the design.

    Members
    -------
    o : Out(stream of signed(24))
        Samples; one that is not taken at once is lost.
    right : Out(1)
        With a sample: the side.
    pads : Out(PADS)
        Pads.
    """

    def __init__(self, spec: Microphone, clock_hz: int) -> None:
        # 3 clocks: SD goes through two registers, and is taken when SCK falls
        self.half = max(3, ceil(clock_hz / (2 * spec.clock_hz)))
        super().__init__(
            {
                "o": Out(stream.Signature(signed(BITS), always_ready=True)),
                "right": Out(1),
                "pads": Out(PADS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        timer, place, heard = Signal(range(self.half)), Signal(range(2 * SLOT)), Signal(BITS)
        stages, falls = Signal(2), Signal()
        side = place // SLOT
        m.d.comb += [
            falls.eq((timer == 0) & self.pads.sck),
            self.pads.ws.eq(side),
            self.right.eq(side),
            self.o.payload.eq(heard),
        ]
        m.d.sync += [stages.eq(Cat(self.pads.sd, stages)), timer.eq(timer - 1), self.o.valid.eq(0)]
        with m.If(timer == 0):
            m.d.sync += [timer.eq(self.half - 1), self.pads.sck.eq(~self.pads.sck)]
        with m.If(falls):
            m.d.sync += [place.eq(place + 1), self.o.valid.eq(place % SLOT == BITS)]
            with m.If(place % SLOT <= BITS):
                m.d.sync += heard.eq(Cat(stages[1], heard))
        return m
