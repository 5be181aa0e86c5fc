"""The clock of a board: crystal, PLL, and a reset that waits for both."""

from __future__ import annotations

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from vle.compiler.planning.boards.description import Description
from vle.compiler.planning.pll import Crystal, Ice40Pll, Pll
from vle.hw.boards import pll
from vle.hw.boards.platform import clock_name

SETTLE_S = 20e-6  # block RAM of iCE40 is not ready within 3 us of power-up; 15 us are customary


class Settling(wiring.Component):
    """Hold a reset until `clocks` clocks with lock have passed, and again where lock is lost.

    In the domain `settle`, which has no reset.

    Parameters
    ----------
    clocks
        To wait; rounded up to a power of two.

    Members
    -------
    locked : In(1)
        Of the PLL, of any domain.
    reset : Out(1)
        For the circuit; 1 at power-up.
    """

    def __init__(self, clocks: int) -> None:
        self.clocks = clocks
        super().__init__({"locked": In(1), "reset": Out(1)})

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        steady, settled = Signal(), Signal()
        count = Signal(range(max(2, self.clocks)))
        m.submodules.lock = FFSynchronizer(self.locked, steady, o_domain="settle")
        with m.If(~steady):
            m.d.settle += [count.eq(0), settled.eq(0)]
        with m.Elif(count.all()):
            m.d.settle += settled.eq(1)
        with m.Else():
            m.d.settle += count.eq(count + 1)
        m.d.comb += self.reset.eq(~settled)
        return m


class Clocking(Elaboratable):
    """Drive domain `sync`, of the parent: the build's clock, its reset gone `SETTLE_S` after lock.

    Parameters
    ----------
    description
        The board.
    source
        Crystal or setting of the PLL.
    """

    def __init__(self, description: Description, source: Crystal | Pll) -> None:
        self.description, self.source = description, source

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        clk, locked = Signal(), Signal()
        port = platform.request(clock_name(self.description), 0, dir="-")
        if isinstance(self.source, Ice40Pll):
            pin = port.io  # the PLL has the pin to itself
        else:
            m.submodules.crystal = buffer = io.Buffer("i", port)
            pin = buffer.i
        if isinstance(self.source, Crystal):
            m.d.comb += [clk.eq(pin), locked.eq(1)]
        else:
            device = self.description.device
            m.submodules.pll = pll.instance(self.source, pin, clk, locked, device)
        m.domains.settle = ClockDomain(reset_less=True, local=True)
        m.submodules.settling = settling = Settling(round(SETTLE_S * float(self.source.hz)))
        m.d.comb += [
            ClockSignal("sync").eq(clk),
            ClockSignal("settle").eq(clk),
            settling.locked.eq(locked),
            ResetSignal("sync").eq(settling.reset),
        ]
        return m
