"""Steps tied to wall time: one input frame for each tick."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.hw import axi_stream


class StepTimer(wiring.Component):
    """Lets one input frame pass at each tick; without a period all, as they come.

    At a tick the frame must be there, its first word at least, and the step before must have ended,
    with its whole output frame. Otherwise the tick is an overrun, and nothing begins before the
    next one: a step begins with a tick or not at all. What is offered to the chip stays until it is
    taken. Adds no latency.

    Parameters
    ----------
    inputs
        Words of a frame; one of another length is dropped by the chip and not waited for.
    signature
        Of the stream of frames.

    Members
    -------
    i, o : In, Out(signature)
        Frames.
    hold : In(1)
        Let no frame begin.
    period : In(32)
        Clocks of a step, 0 for none. Change it while the chip is idle.
    restart : In(1)
        The period was written: a whole one begins, counts are 0.
    answered : In(1)
        The last word of an output frame was taken.
    clear : In(1)
        The chip forgets steps that have begun.
    tick, missed, stale : Out(1)
        Now; it is an overrun; the frame that stands here is late by a step, and was not offered.
    between : Out(1)
        No frame goes through, or was admitted: another source may be connected.
    ticks, overruns : Out(32)
        Counts.
    """

    def __init__(self, inputs: int, signature: axi_stream.Signature) -> None:
        self.inputs = inputs
        super().__init__(
            {
                "i": In(signature),
                "o": Out(signature),
                "hold": In(1),
                "period": In(32),
                "restart": In(1),
                "answered": In(1),
                "clear": In(1),
                "tick": Out(1),
                "missed": Out(1),
                "stale": Out(1),
                "between": Out(1),
                "ticks": Out(32),
                "overruns": Out(32),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        i, o = self.i, self.o
        admitted, standing, inside, computing = Signal(), Signal(), Signal(), Signal()
        timed, passing, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            timed.eq(self.period != 0),
            # what was offered stays, and a frame that was begun goes through
            passing.eq(standing | inside | ((admitted | ~timed) & ~self.hold)),
            o.tdata.eq(i.tdata),
            o.tlast.eq(i.tlast),
            o.tuser.eq(i.tuser),
            o.tvalid.eq(i.tvalid & passing),
            i.tready.eq(o.tready & passing),
            moves.eq(o.tvalid & o.tready),
            self.between.eq(~(admitted | inside | standing)),
        ]
        m.d.sync += standing.eq(o.tvalid & ~o.tready)
        self._clock(m, timed)
        with m.If(self.tick):
            m.d.comb += self.missed.eq(admitted | inside | computing | ~i.tvalid | self.hold)
            m.d.sync += [
                self.ticks.eq(self.ticks + 1),
                self.overruns.eq(self.overruns + self.missed),
            ]
            m.d.comb += self.stale.eq(self.missed & self.between)
            with m.If(~self.missed):
                m.d.sync += admitted.eq(1)
        place = Signal(range(self.inputs + 1))
        with m.If(moves):
            m.d.sync += [
                inside.eq(~i.tlast),
                place.eq(place + (place != self.inputs)),
            ]
            with m.If(i.tlast):
                m.d.sync += [admitted.eq(0), place.eq(0), computing.eq(place == self.inputs - 1)]
        with m.If((self.answered & ~(moves & i.tlast)) | self.clear):
            m.d.sync += computing.eq(0)
        with m.If(self.restart):
            m.d.sync += [self.ticks.eq(0), self.overruns.eq(0)]
        return m

    def _clock(self, m: Module, timed: Signal) -> None:
        """Count clocks; the first tick is a whole period after a write."""
        count = Signal(32)
        m.d.comb += self.tick.eq(timed & (count == self.period - 1) & ~self.restart)
        m.d.sync += count.eq(count + 1)
        with m.If(self.tick | self.restart | ~timed):
            m.d.sync += count.eq(0)
