"""AXI4-Lite port, and the bridges between it and the register bus."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
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
    """One transfer at a time from AXI4-Lite to the bus; where both wait, reads and writes in turn.

    Each channel's word is held until its access is done, and ready is low meanwhile: no output
    depends on an input of the same clock. A write needs address and data, in any order.

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
        """Hold what comes, do one access on the bus, wait for the manager."""
        m = Module()
        axi, bus = self.axi, self.bus
        asked, read_at = self._hold(m, "ar", axi.araddr)
        addressed, write_at = self._hold(m, "aw", axi.awaddr)
        filled, data = self._hold(m, "w", axi.wdata)
        reading, partial = Signal(), Signal()  # of the last access, until there is another
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += partial.eq(axi.wstrb != 0b1111)
        m.d.comb += bus.w_data.eq(data)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(asked & ~(reading & addressed & filled)):
                    m.d.sync += [reading.eq(1), bus.addr.eq(read_at[2:])]
                    m.next = "READ"
                with m.Elif(addressed & filled):
                    m.d.sync += [reading.eq(0), bus.addr.eq(write_at[2:])]
                    m.next = "WRITE"
            with m.State("READ"):
                m.d.comb += bus.read.eq(1)
                with m.If(bus.done):
                    response = [axi.rdata.eq(bus.r_data), axi.rresp.eq(self._response(bus.error))]
                    m.d.sync += [*response, asked.eq(0)]
                    m.next = "READ-RESPONSE"
            with m.State("READ-RESPONSE"):
                m.d.comb += axi.rvalid.eq(1)
                with m.If(axi.rready):
                    m.next = "IDLE"
            with m.State("WRITE"):
                m.d.comb += bus.write.eq(~partial)
                with m.If(bus.done | partial):
                    m.d.sync += axi.bresp.eq(self._response(bus.error | partial))
                    m.d.sync += [addressed.eq(0), filled.eq(0)]
                    m.next = "WRITE-RESPONSE"
            with m.State("WRITE-RESPONSE"):
                m.d.comb += axi.bvalid.eq(1)
                with m.If(axi.bready):
                    m.next = "IDLE"
        return m

    def _hold(self, m: Module, channel: str, word: Value) -> tuple[Signal, Signal]:
        """Whether a word of the channel stands here, and the word."""
        valid, ready = (getattr(self.axi, channel + name) for name in ("valid", "ready"))
        full, held = Signal(name=f"{channel}_full"), Signal.like(word, name=f"{channel}_held")
        m.d.comb += ready.eq(~full)
        with m.If(valid & ready):
            m.d.sync += [full.eq(1), held.eq(word)]
        return full, held

    @staticmethod
    def _response(error):
        return error << 1  # SLVERR where set


class Master(wiring.Component):
    """Makes transfers of AXI4-Lite of accesses on the bus; no clock of its own.

    Parameters
    ----------
    addr_width
        Bits of a word address on the bus.

    Members
    -------
    bus : In(BusSignature(addr_width))
        From the initiator.
    axi : Out(Signature(addr_width + 2))
        To the subordinate; all four strobes are set.
    """

    def __init__(self, addr_width: int) -> None:
        super().__init__(
            {"bus": In(BusSignature(addr_width)), "axi": Out(Signature(addr_width + 2))}
        )

    def elaborate(self, platform) -> Module:
        """Offer address and data until each is taken, wait for the response."""
        m = Module()
        axi, bus = self.axi, self.bus
        for channel, way in (("ar", bus.read), ("aw", bus.write), ("w", bus.write)):
            valid, ready = (getattr(axi, channel + name) for name in ("valid", "ready"))
            taken = Signal(name=f"{channel}_taken")
            m.d.comb += valid.eq(way & ~taken)
            m.d.sync += taken.eq(way & (taken | ready) & ~bus.done)
        m.d.comb += [
            axi.araddr.eq(bus.addr << 2),
            axi.awaddr.eq(bus.addr << 2),
            axi.wdata.eq(bus.w_data),
            axi.wstrb.eq(0b1111),
            axi.rready.eq(bus.read),
            axi.bready.eq(bus.write),
            bus.r_data.eq(axi.rdata),
            bus.done.eq(Mux(bus.read, axi.rvalid, bus.write & axi.bvalid)),
            bus.error.eq(Mux(bus.read, axi.rresp.as_value(), axi.bresp.as_value())[1]),
        ]
        return m
