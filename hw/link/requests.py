"""Accesses to registers and memories that a host asks for."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.hw.bus import BusSignature

CONTROL, CLEAR = 3, 2  # word address of CTRL, and its bit
WRITES, GOES_ON = 0, 1  # flags of a request


class Requests(wiring.Component):
    """Does one request at a time; a word takes 5 clocks and its access.

    In its memory a request begins at place 2, its words lie from place 8 on; the response begins at
    place 1, its words lie from place 4 on.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    start, end : In
        A request is there; place behind it.
    forget, clear : In(1)
        A session begins: no access follows the one at work, and the chip is cleared if `clear`.
    settled : Out(1)
        That is done.
    clearing, cleared : Out(1)
        The chip is to be cleared, or just being so; it is, from the next clock on.
    done : Out(1)
        The response is there, up to place `reply_end`.
    busy, open : Out(1)
        The memory of requests and responses belongs to this; a request can come.
    wait : In(1)
        It does not yet.
    address, data, keep, reply : Out, In(8), Out(1), Out(8)
        Place of a byte, the byte 1 clock later; write `reply` there.
    bus : Out(BusSignature(30))
        To registers and memories.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "start": In(1),
                "end": In(spec.place_bits),
                "forget": In(1),
                "clear": In(1),
                "settled": Out(1),
                "cleared": Out(1),
                "clearing": Out(1),
                "done": Out(1),
                "reply_end": Out(spec.place_bits),
                "busy": Out(1),
                "open": Out(1),
                "wait": In(1),
                "address": Out(spec.place_bits),
                "data": In(8),
                "keep": Out(1),
                "reply": Out(8),
                "bus": Out(BusSignature(30)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, bus = self.spec, self.bus
        word, address = Signal(32), Signal(30)
        flags, count = Signal(2), Signal(8)
        made, refused = Signal(spec.place_bits - 2), Signal(spec.place_bits - 2)
        fetched, tick = Signal(spec.place_bits - 2), Signal(3)  # words of the request; bytes
        asked, forgotten, head, over = Signal(), Signal(), Signal(), Signal()
        writes = flags[WRITES]
        sound = (count != 0) & (count <= spec.request_words)
        sound &= self.end == (Mux(writes, count, 0) + 2) << 2
        m.d.comb += [
            bus.addr.eq(address),
            bus.w_data.eq(word),
            self.reply.eq(word),
            self.reply_end.eq((Mux(writes, 0, made) + 1) << 2),
            over.eq(~sound | (made == count) | ((refused != 0) & ~flags[GOES_ON])),
        ]
        with m.FSM() as state:
            m.d.comb += self.busy.eq(~state.ongoing("IDLE"))
            m.d.comb += self.open.eq(~self.busy & ~asked & ~forgotten)
            with m.State("IDLE"):
                m.d.sync += [made.eq(0), refused.eq(0), fetched.eq(0), tick.eq(0)]
                with m.If(forgotten & self.clearing):
                    m.d.sync += [address.eq(CONTROL), word.eq(CLEAR)]
                    m.next = "CLEAR"
                with m.Elif(forgotten):
                    m.d.comb += self.settled.eq(1)
                    m.d.sync += forgotten.eq(0)
                with m.Elif(asked & ~self.wait):
                    m.d.sync += [asked.eq(0), head.eq(0)]
                    m.next = "FETCH"
            with m.State("CLEAR"):
                m.d.comb += [bus.write.eq(1), self.cleared.eq(bus.done)]
                with m.If(bus.done):
                    m.d.sync += self.clearing.eq(0)
                    m.next = "IDLE"
            # words of the request, one after the other: flags and count, address, data
            with m.State("FETCH"):
                m.d.comb += self.address.eq(Cat(tick[:2], fetched))
                m.d.sync += [word.eq(Cat(word, self.data)[8:]), tick.eq(tick + 1)]
                with m.If(tick == 4):
                    m.d.sync += [tick.eq(0), fetched.eq(fetched + 1)]
                    with m.Switch(fetched):
                        with m.Case(0):
                            m.next = "FLAGS"
                        with m.Case(1):
                            m.next = "ADDRESS"
                        with m.Default():
                            m.next = "ACCESS"
            with m.State("FLAGS"):
                m.d.sync += [flags.eq(word[16:]), count.eq(word[24:])]
                m.next = "FETCH"
            with m.State("ADDRESS"):
                m.d.sync += address.eq(word[2:])
                m.next = "NEXT"
            with m.State("NEXT"):
                with m.If(forgotten):
                    m.next = "IDLE"
                with m.Elif(over):
                    made8, refused8 = (Cat(n, C(0, 10 - spec.place_bits)) for n in (made, refused))
                    m.d.sync += [word.eq(Cat(C(0, 8), flags, C(0, 6), made8, refused8)), head.eq(1)]
                    m.next = "STORE"
                with m.Elif(writes):
                    m.next = "FETCH"
                with m.Else():
                    m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += [bus.read.eq(~writes), bus.write.eq(writes)]
                with m.If(bus.done):
                    m.d.sync += [made.eq(made + 1), refused.eq(refused + bus.error)]
                    m.d.sync += [word.eq(Mux(bus.error, 0, bus.r_data)), address.eq(address + 1)]
                    with m.If(writes):
                        m.next = "NEXT"
                    with m.Else():
                        m.next = "STORE"
            with m.State("STORE"):
                m.d.comb += self.address.eq(Cat(tick[:2], Mux(head, 0, made)))
                m.d.comb += self.keep.eq(1)
                m.d.sync += [word.eq(word[8:]), tick.eq(Mux(tick == 3, 0, tick + 1))]
                with m.If((tick == 3) & head):
                    m.d.comb += self.done.eq(~forgotten)
                    m.next = "IDLE"
                with m.Elif(tick == 3):
                    m.next = "NEXT"
        with m.If(self.start):
            m.d.sync += asked.eq(1)
        with m.If(self.forget):
            m.d.sync += [asked.eq(0), forgotten.eq(1)]
            with m.If(self.clear):
                m.d.sync += self.clearing.eq(1)
        return m
