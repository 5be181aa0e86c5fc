"""Accesses to registers and memories that a host asks for."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.compiler.circuit.registers import CTRL
from vle.hw.bus import BusSignature

WRITES, GOES_ON = 0, 1  # flags of a request


class Requests(wiring.Component):
    """Does one request at a time; a word takes 5 clocks and its access.

    In its memory a request begins at place 2, its words lie from place 8 on. The response begins at
    place 1, behind the place of its end; its words lie from place 4 on.

    Of an address only the bits count that the chip has; the next one says that the address is not
    of the chip, or has gone beyond it; the highest that it is of the board.

    Parameters
    ----------
    spec
        Sizes.
    address_width
        Bits of a word address of the chip.

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
        The response is there.
    busy, open : Out(1)
        The memory of requests and responses belongs to this; a request can come.
    wait : In(1)
        It does not yet.
    address, data, keep, reply : Out, In(8), Out(1), Out(8)
        Place of a byte, the byte 1 clock later; write `reply` there.
    bus : Out(BusSignature(address_width + 2))
        To registers and memories.
    """

    def __init__(self, spec: LinkSpec, address_width: int) -> None:
        self.spec, self.address_width = spec, address_width
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
                "busy": Out(1),
                "open": Out(1),
                "wait": In(1),
                "address": Out(spec.place_bits),
                "data": In(8),
                "keep": Out(1),
                "reply": Out(8),
                "bus": Out(BusSignature(address_width + 2)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, bus, words = self.spec, self.bus, self.spec.place_bits - 2
        self._word, self._tick = word, tick = Signal(32), Signal(3)
        self._address, self._board = address, board = Signal(self.address_width + 1), Signal()
        self._flags, self._count = flags, count = Signal(2), Signal(8)
        self._fetched = fetched = Signal(words)
        made, refused = Signal(words), Signal(words)
        head, asked, forgotten = Signal(), Signal(), Signal()
        sound, over, end, writes = Signal(), Signal(), Signal(spec.place_bits), flags[WRITES]
        m.d.comb += [
            bus.addr.eq(Cat(address, board)),
            bus.w_data.eq(word),
            end.eq((Mux(writes, count, 0) + 2) << 2),
            sound.eq((count != 0) & (count <= spec.request_words) & (self.end == end)),
            over.eq(~sound | (made == count) | ((refused != 0) & ~flags[GOES_ON])),
            self.address.eq(Cat(tick[:2], Mux(self.keep, Mux(head, 0, made), fetched))),
        ]
        with m.FSM() as state:
            m.d.comb += [
                self.busy.eq(~state.ongoing("IDLE")),
                self.open.eq(state.ongoing("IDLE") & ~asked & ~forgotten),
                bus.read.eq(state.ongoing("ACCESS") & ~writes),
                bus.write.eq((state.ongoing("ACCESS") & writes) | state.ongoing("CLEAR")),
            ]
            self._begin(m, asked, forgotten)
            self._fetch(m)
            with m.State("NEXT"):
                with m.If(forgotten):
                    m.next = "IDLE"
                with m.Elif(over):
                    m.d.sync += head.eq(1)
                    m.next = "STORE"
                with m.Else():
                    m.next = "ACCESS"
                    with m.If(writes):
                        m.next = "FETCH"
            with m.State("ACCESS"):
                with m.If(~writes):
                    m.d.sync += word.eq(Mux(bus.error, 0, bus.r_data))
                with m.If(bus.done):
                    m.d.sync += [made.eq(made + 1), refused.eq(refused + bus.error)]
                    m.d.sync += address.eq(address + 1)
                    m.next = "STORE"
                    with m.If(writes):
                        m.next = "NEXT"
            with m.State("STORE"):
                m.d.comb += self.keep.eq(1)
                m.d.sync += [word.eq(Cat(word, self.data)[8:]), tick.eq(tick + 1)]
                with m.If(tick == 3):
                    m.d.sync += tick.eq(0)
                    m.d.comb += self.done.eq(head & ~forgotten)
                    m.next = "NEXT"
                    with m.If(head):
                        m.next = "IDLE"
        last = (Mux(writes, 0, made) + 1) << 2  # place behind the payload of the response
        first_word = Array((last, flags, made, refused))
        m.d.comb += self.reply.eq(Mux(head, first_word[tick[:2]], word[:8]))
        with m.If(~self.busy):  # last, so that it is a reset of these registers
            m.d.sync += [made.eq(0), refused.eq(0), fetched.eq(0), tick.eq(0), head.eq(0)]
            m.d.sync += [address.eq(CTRL.address), board.eq(0), word.eq(CTRL.mask("clear"))]
        self._hear(m, asked, forgotten)
        return m

    def _fetch(self, m: Module) -> None:
        """Read words of the request, one after the other: flags and count, address, data."""
        word, width, tick = self._word, self.address_width, self._tick
        with m.State("FETCH"):
            m.d.sync += [word.eq(Cat(word, self.data)[8:]), tick.eq(tick + 1)]
            with m.If(tick == 4):
                m.d.sync += [tick.eq(0), self._fetched.eq(self._fetched + 1)]
                with m.Switch(self._fetched):
                    for index, state in enumerate(("FLAGS", "ADDRESS")):
                        with m.Case(index):
                            m.next = state
                    with m.Default():
                        m.next = "ACCESS"
        with m.State("FLAGS"):
            m.d.sync += [self._flags.eq(word[16:]), self._count.eq(word[24:])]
            m.next = "FETCH"
        with m.State("ADDRESS"):
            beyond = word[width + 2 : -1].any()
            m.d.sync += [self._address.eq(Cat(word[2 : width + 2], beyond))]
            m.d.sync += self._board.eq(word[-1])
            m.next = "NEXT"

    def _begin(self, m: Module, asked: Signal, forgotten: Signal) -> None:
        """Clear the chip, or begin a request."""
        with m.State("IDLE"):
            with m.If(forgotten & self.clearing):
                m.next = "CLEAR"
            with m.Elif(forgotten):
                m.d.comb += self.settled.eq(1)
                m.d.sync += forgotten.eq(0)
            with m.Elif(asked & ~self.wait):
                m.d.sync += asked.eq(0)
                m.next = "FETCH"
        with m.State("CLEAR"), m.If(self.bus.done):
            m.d.comb += self.cleared.eq(1)
            m.d.sync += self.clearing.eq(0)
            m.next = "IDLE"

    def _hear(self, m: Module, asked: Signal, forgotten: Signal) -> None:
        """Hear what is to be done next."""
        with m.If(self.start):
            m.d.sync += asked.eq(1)
        with m.If(self.forget):
            m.d.sync += [asked.eq(0), forgotten.eq(1)]
            with m.If(self.clear):
                m.d.sync += self.clearing.eq(1)
