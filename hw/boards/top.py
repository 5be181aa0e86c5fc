"""The circuit of a board: clock, line, shell and chip."""

from __future__ import annotations

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import wiring

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.link import LinkSpec
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.pll import Crystal, Pll
from vle.hw.boards.beside import beside
from vle.hw.boards.clocking import Clocking
from vle.hw.boards.line import line
from vle.hw.boards.pins import request_leds
from vle.hw.shell import Shell
from vle.hw.top import Top


class BoardTop(Elaboratable):
    """A chip behind its link, on a board.

    LED 0 is lit while a session is open, LED 1 changes with every frame taken, LED 2 is lit from
    the first frame that came damaged on, until the board starts anew.

    Parameters
    ----------
    chip
        Network, folding, and how it learns.
    options
        Which board, and what it shall have.
    source
        Where its clock comes from.
    """

    def __init__(self, chip: ChipSpec, options: BuildOptions, source: Crystal | Pll) -> None:
        self.chip, self.options, self.source = chip, options, source

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        chip, options, hz = self.chip, self.options, round(self.source.hz)
        board = options.board
        m.domains.sync = ClockDomain()
        m.submodules.clocking = Clocking(board, self.source)
        spec = LinkSpec.of_chip(chip, payload_max=board.payload_max, slots=board.slots)
        parts = beside(m, platform, chip, options, hz)
        m.submodules.shell = shell = Shell(Top(chip), spec, clock_hz=hz, standalone=parts)
        bytes_ = line(m, platform, board, options.link, hz)
        wiring.connect(m, bytes_.o, shell.i)
        wiring.connect(m, shell.o, bytes_.i)
        m.d.comb += shell.line_error.eq(bytes_.error)
        self._leds(m, platform, shell)
        return m

    def _leds(self, m: Module, platform: Platform, shell: Shell) -> None:
        """Show what the link does, on as many LEDs as there are."""
        active, damaged = Signal(), Signal()
        with m.If(shell.activity):
            m.d.sync += active.eq(~active)
        with m.If(shell.damaged):
            m.d.sync += damaged.eq(1)
        for led, shown in zip(
            request_leds(m, platform, self.options.board),
            (shell.alive, active, damaged),
            strict=False,
        ):
            m.d.comb += led.eq(shown)
