"""Samples of an ADC with several channels."""

from __future__ import annotations

from math import ceil

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vle.hw.standalone.parts import ADCS, Adc
from vle.hw.standalone.spi import PADS, Shifter

CHANNEL_BITS = 4


class AdcMaster(wiring.Component):
    """At each start, one sample of each channel of a list, in its order.

    A sample takes `times * (length * 2 * half + setup + apart)` clocks.

    Parameters
    ----------
    spec
        The ADC.
    clock_hz
        Of the design.

    Members
    -------
    start : In(1)
        Take samples; ignored while `busy`.
    channels : In
        4 bits for each, the first lowest.
    o : Out(stream of signed)
        Samples, 0 or more; one that is not taken in time is lost, nothing waits for it.
    busy : Out(1)
        Until the last one.
    first, failed : Out(1)
        With a sample: it is that of the first channel; the ADC has answered for another channel.
    pads : Out(PADS)
        `cs` is low where it selects.
    """

    def __init__(self, spec: Adc, clock_hz: int) -> None:
        self.spec, self.chip = spec, ADCS[spec.chip]
        # 3 clocks: CIPO goes through two registers
        self.half = max(3, ceil(clock_hz / (2 * self.chip.clock_hz)))
        self.setup, self.apart = (
            max(1, ceil(clock_hz * ns / 1e9)) for ns in (self.chip.setup_ns, self.chip.apart_ns)
        )
        super().__init__(
            {
                "start": In(1),
                "channels": In(CHANNEL_BITS * spec.words),
                "o": Out(stream.Signature(signed(spec.sample_width), always_ready=True)),
                "busy": Out(1),
                "first": Out(1),
                "failed": Out(1),
                "pads": Out(PADS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, words = self.chip, self.spec.words
        m.submodules.shifter = shifter = Shifter(chip.length, self.half)
        rest, index = Signal.like(self.channels), Signal(range(words))
        turn, wait = Signal(range(chip.times)), Signal(range(max(self.setup, self.apart) + 1))
        channel, selected = rest[:CHANNEL_BITS], Signal()
        m.d.comb += [
            shifter.word.eq(chip.command | channel << chip.place),
            shifter.count.eq(chip.length),
            shifter.cipo.eq(self.pads.cipo),
            self.pads.clk.eq(shifter.clk),
            self.pads.copi.eq(shifter.copi & selected),
            self.pads.cs.eq(~selected),
            self.o.payload.eq(shifter.heard[: chip.bits]),
            self.first.eq(index == 0),
        ]
        if chip.tagged:
            tag = shifter.heard[chip.bits : chip.bits + CHANNEL_BITS]
            m.d.comb += self.failed.eq(tag != channel)
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [rest.eq(self.channels), index.eq(0), turn.eq(0)]
                m.d.sync += wait.eq(self.setup)
                with m.If(self.start):
                    m.next = "SELECT"
            with m.State("SELECT"):
                m.d.comb += selected.eq(1)
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.comb += shifter.start.eq(1)
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.comb += selected.eq(1)
                m.d.sync += wait.eq(self.apart)
                with m.If(~shifter.busy):
                    m.next = "APART"
            with m.State("APART"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += wait.eq(self.setup)
                    m.next = "SELECT"
                    with m.If(turn != chip.times - 1):
                        m.d.sync += turn.eq(turn + 1)
                    with m.Else():
                        m.d.comb += self.o.valid.eq(1)
                        m.d.sync += [turn.eq(0), rest.eq(rest >> CHANNEL_BITS), index.eq(index + 1)]
                        with m.If(index == words - 1):
                            m.next = "IDLE"
        return m
