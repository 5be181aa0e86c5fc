"""AXI4-Lite port and the bridge from it to the register bus."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vle.hw.bus import BusSignature


class Response(enum.Enum, shape=2):
    """RRESP and BRESP."""

    OKAY = 0
    SLVERR = 2


class Signature(wiring.Signature):
    """A 32-bit AXI4-Lite port, seen from its manager.

    Parameters
    ----------
    addr_width
        Bits of a byte address.

    Members
    -------
    awaddr, awprot, awvalid, awready
        Write address.
    wdata, wstrb, wvalid, wready
        Write data.
    bresp, bvalid, bready
        Write response.
    araddr, arprot, arvalid, arready
        Read address.
    rdata, rresp, rvalid, rready
        Read data.

    References
    ----------
    AMBA AXI Protocol Specification, ARM IHI 0022H, part B.
    """

    def __init__(self, addr_width: int) -> None:
        super().__init__(
            {
                **{f"a{way}addr": Out(addr_width) for way in "wr"},
                **{f"a{way}prot": Out(3) for way in "wr"},
                **{f"a{way}valid": Out(1) for way in "wr"},
                **{f"a{way}ready": In(1) for way in "wr"},
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(Response),
                "bvalid": In(1),
                "bready": Out(1),
                "rdata": In(32),
                "rresp": In(Response),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Bridge(wiring.Component):
    """One transfer at a time from AXI4-Lite to the bus; a read goes before a write.

    Registers are whole words: a write that strobes only some of its bytes is answered with SLVERR
    and changes nothing. The two lowest address bits are ignored.

    Parameters
    ----------
    addr_width
        Bits of a word address on the bus.

    Members
    -------
    axi : In(Signature(addr_width + 2))
        From the manager.
    bus : Out(BusSignature(addr_width))
        To the registers.
    """

    def __init__(self, addr_width: int) -> None:
        super().__init__(
            {"axi": In(Signature(addr_width + 2)), "bus": Out(BusSignature(addr_width))}
        )

    def elaborate(self, platform) -> Module:
        """Wait for an address, then for the bus, then for the manager."""
        m = Module()
        axi, bus = self.axi, self.bus
        partial = Signal()
        with m.FSM():
            with m.State("ADDRESS"):
                with m.If(axi.arvalid):
                    m.d.comb += axi.arready.eq(1)
                    m.d.sync += bus.addr.eq(axi.araddr[2:])
                    m.next = "READ"
                with m.Elif(axi.awvalid & axi.wvalid):
                    m.d.comb += [axi.awready.eq(1), axi.wready.eq(1)]
                    m.d.sync += [
                        bus.addr.eq(axi.awaddr[2:]),
                        bus.w_data.eq(axi.wdata),
                        partial.eq(axi.wstrb != 0b1111),
                    ]
                    m.next = "WRITE"
            with m.State("READ"):
                m.d.comb += bus.read.eq(1)
                with m.If(bus.done):
                    response = [axi.rdata.eq(bus.r_data), axi.rresp.eq(self._response(bus.error))]
                    m.d.sync += response
                    m.next = "READ-RESPONSE"
            with m.State("READ-RESPONSE"):
                m.d.comb += axi.rvalid.eq(1)
                with m.If(axi.rready):
                    m.next = "ADDRESS"
            with m.State("WRITE"):
                m.d.comb += bus.write.eq(~partial)
                with m.If(bus.done | partial):
                    m.d.sync += axi.bresp.eq(self._response(bus.error | partial))
                    m.next = "WRITE-RESPONSE"
            with m.State("WRITE-RESPONSE"):
                m.d.comb += axi.bvalid.eq(1)
                with m.If(axi.bready):
                    m.next = "ADDRESS"
        return m

    @staticmethod
    def _response(error):
        return error << 1  # SLVERR where set
