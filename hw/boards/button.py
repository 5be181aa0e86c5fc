"""A button: what it says once it has come to rest."""

from __future__ import annotations

from math import ceil

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

REST_S = 0.01  # for which it must say the same; contacts bounce for a few milliseconds


class Button(wiring.Component):
    """Follow a button that has said the same for `rest_s`.

    Parameters
    ----------
    clock_hz
        Of the design.
    rest_s
        Seconds.

    Members
    -------
    pin : In(1)
        1 where it is pressed; of no clock.
    pressed : Out(1)
        Whether it is.
    """

    def __init__(self, clock_hz: int, rest_s: float = REST_S) -> None:
        self.clocks = max(1, ceil(clock_hz * rest_s))
        super().__init__({"pin": In(1), "pressed": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        now, left = Signal(), Signal(range(self.clocks + 1), init=self.clocks)
        m.submodules.synchronizer = FFSynchronizer(self.pin, now)
        with m.If(now == self.pressed):
            m.d.sync += left.eq(self.clocks)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Else():
            m.d.sync += self.pressed.eq(now)
        return m
