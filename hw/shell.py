"""A chip on a board: the link to a host, the registers of the board, what stands between."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vle.compiler.circuit.board_registers import BOARD_BITS, BOARD_ID, SHELL_VERSION
from vle.compiler.circuit.link import LinkSpec
from vle.hw import axi_lite
from vle.hw.bus import BusSignature
from vle.hw.link.link import Link
from vle.hw.link.token import byte_stream

OWN = 4  # registers of the shell; those of the parts between lie behind


class Shell(wiring.Component):
    """Ties a chip to a line of bytes.

    Word addresses from `BOARD_BASE / 4` on are those of the board, those below of the chip; where
    neither has anything, an access is refused.

    Parameters
    ----------
    core
        The chip, or another component with its ports: `Top`, `ChipInstance`.
    spec
        Sizes of the link.
    clock_hz
        Of the clock, for the host to read; 0 where it is none.
    standalone
        What stands between link and chip: a step timer, a sensor, parameters that are kept. With
        members `board`, `host_axis` and `core_axis`, `host_bus` and `core_bus`, `answered`, and, if
        it wants to know, `clear`.

    Members
    -------
    i, o : In, Out(byte_stream())
        The line.
    line_error : In(1)
        The line has heard what is no byte.
    alive, activity, damaged : Out(1)
        There is a session; a frame was good; something was damaged.
    """

    def __init__(
        self,
        core: wiring.Component,
        spec: LinkSpec,
        *,
        clock_hz: int = 0,
        standalone: wiring.Component | None = None,
    ) -> None:
        if not 0 <= clock_hz < 1 << 32:
            raise ValueError(f"clock_hz must fit in 32 bits, not {clock_hz!r}")
        self.core, self.spec, self.clock_hz, self.standalone = core, spec, clock_hz, standalone
        super().__init__(
            {
                "i": In(byte_stream()),
                "o": Out(byte_stream()),
                "line_error": In(1),
                **dict.fromkeys(("alive", "activity", "damaged"), Out(1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        core, parts = self.core, self.standalone
        m.submodules.core = core
        address_width = len(core.s_axil.araddr) - 2
        m.submodules.link = link = Link(self.spec, address_width)
        m.submodules.master = master = axi_lite.Master(address_width)
        connect(m, master.axi, core.s_axil)
        connect(m, flipped(self.i), link.i)
        connect(m, link.o, flipped(self.o))
        connect(m, core.m_axis, link.m_axis)
        if self.spec.learns:
            connect(m, link.s_axis_target, core.s_axis_target)
            connect(m, core.m_axis_probe, link.m_axis_probe)
        chip, board = BusSignature(address_width).create(), BusSignature(BOARD_BITS).create()
        if parts is None:
            connect(m, link.s_axis, core.s_axis)
            connect(m, chip, master.bus)
        else:
            m.submodules.standalone = parts
            connect(m, link.s_axis, parts.host_axis)
            connect(m, parts.core_axis, core.s_axis)
            connect(m, chip, parts.host_bus)
            connect(m, parts.core_bus, master.bus)
            connect(m, board, parts.board)
            axis = core.m_axis
            m.d.comb += parts.answered.eq(axis.tvalid & axis.tready & axis.tlast)
            if "clear" in parts.signature.members:
                m.d.comb += parts.clear.eq(link.clearing)
        m.d.comb += [
            self.alive.eq(link.alive),
            self.activity.eq(link.activity),
            self.damaged.eq(link.damaged | self.line_error),
        ]
        self._buses(m, link.bus, chip, board)
        return m

    def _buses(self, m: Module, bus, chip, board) -> None:
        """Chip, parts between, own registers; an address of nobody is refused after 1 clock."""
        width = len(chip.addr)
        damaged, nobody, own = Signal(16), Signal(), Signal()
        m.d.sync += damaged.eq(damaged + self.damaged)
        asked = bus.read | bus.write
        of_chip = ~bus.addr[width:].any()
        of_board = bus.addr[-1] & ~bus.addr[BOARD_BITS:-1].any()
        of_parts = of_board & (bus.addr[:BOARD_BITS] >= OWN)
        words = (BOARD_ID, SHELL_VERSION, self.clock_hz, damaged)
        m.d.sync += [own.eq(0), nobody.eq(0)]
        with m.If(of_chip):
            _reach(m, bus, chip)
        with m.Elif(of_parts & (self.standalone is not None)):
            _reach(m, bus, board)
        with m.Else():
            m.d.comb += [bus.done.eq(own), bus.error.eq(nobody)]
            m.d.sync += own.eq(asked & ~own)
            m.d.sync += nobody.eq(~of_board | of_parts | bus.write)
            with m.Switch(bus.addr[:2]):
                for index, word in enumerate(words):
                    with m.Case(index):
                        m.d.comb += bus.r_data.eq(word)


def _reach(m: Module, bus, target) -> None:
    """Make the access one of the target's."""
    m.d.comb += [
        target.addr.eq(bus.addr),
        target.w_data.eq(bus.w_data),
        target.read.eq(bus.read),
        target.write.eq(bus.write),
        bus.r_data.eq(target.r_data),
        bus.done.eq(target.done),
        bus.error.eq(target.error),
    ]
