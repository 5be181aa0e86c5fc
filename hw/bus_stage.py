"""A register in the bus, for chips whose memories lie far from their host."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.hw.bus import BusSignature


class BusStage(wiring.Component):
    """Passes each access on a clock later, and its answer back a clock later.

    Parameters
    ----------
    address_width
        Bits of an address.

    Members
    -------
    i
        From the initiator.
    o
        To the target.
    """

    def __init__(self, address_width: int):
        bus = BusSignature(address_width)
        super().__init__({"i": In(bus), "o": Out(bus)})

    def elaborate(self, platform) -> Module:
        m = Module()
        i, o = self.i, self.o
        m.d.sync += [
            o.addr.eq(i.addr),
            o.w_data.eq(i.w_data),
            *(getattr(i, name).eq(getattr(o, name)) for name in ("r_data", "done", "error")),
        ]
        for name in ("read", "write"):  # an access that is done is asked for 2 clocks more
            asked = getattr(i, name)
            m.d.sync += getattr(o, name).eq(asked & ~o.done & ~i.done)
        return m
