"""A master of SPI, mode 0: words of some bits, one after the other."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

PADS = wiring.Signature({"cs": Out(1), "clk": Out(1), "copi": Out(1), "cipo": In(1)})


class Shifter(wiring.Component):
    """Sends the highest bits of a word and hears as many.

    COPI changes while the clock is low; CIPO is taken where the clock falls, through two registers
    of its own: half a period must then be at least 3 clocks.

    Parameters
    ----------
    width
        Bits of the word at most.
    half_period
        Clocks of half a period.
    synchronise
        Whether CIPO goes through two registers; else it is taken as it is.

    Members
    -------
    start : In(1)
        Begin; taken while not `busy`.
    word, count : In
        What to send from its highest bit, how many bits, at least 1.
    busy : Out(1)
        From the clock after `start`, `2 * half_period * count` clocks.
    heard : Out(width)
        What was heard, the last bit lowest; stands until the next `start`.
    clk, copi, cipo
        Pads; `clk` is low where it rests.
    """

    def __init__(self, width: int, half_period: int, *, synchronise: bool = True) -> None:
        self.width, self.half_period, self.synchronise = width, half_period, synchronise
        super().__init__(
            {
                "start": In(1),
                "word": In(width),
                "count": In(range(width + 1)),
                "busy": Out(1),
                "heard": Out(width),
                "clk": Out(1),
                "copi": Out(1),
                "cipo": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        out, left = Signal(self.width), Signal(range(self.width + 1))
        timer, heard = Signal(range(self.half_period)), self.cipo
        if self.synchronise:
            stages = Signal(2)
            m.d.sync += stages.eq(Cat(self.cipo, stages))
            heard = stages[1]
        m.d.comb += [self.busy.eq(left != 0), self.copi.eq(out[-1])]
        with m.If(~self.busy):
            m.d.sync += timer.eq(self.half_period - 1)
            with m.If(self.start):
                m.d.sync += [out.eq(self.word), left.eq(self.count)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.half_period - 1), self.clk.eq(~self.clk)]
            with m.If(self.clk):
                m.d.sync += [
                    self.heard.eq(Cat(heard, self.heard)),
                    out.eq(out << 1),
                    left.eq(left - 1),
                ]
        return m
