"""What belongs to the steps that an engine has not begun; the next one's stands in a register."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class StepQueue(wiring.Component):
    """A queue whose first word is in a register from the clock after it was put in.

    The others wait in a memory behind it. Nothing may be put in where `depth` words are there,
    nothing taken where there is none.

    Parameters
    ----------
    width, depth
        Bits of a word; words.

    Members
    -------
    put, word
        Add a word.
    ready, first
        Whether there is one; the first.
    take
        Drop it.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        super().__init__(
            {
                "put": In(1),
                "word": In(width),
                "ready": Out(1),
                "first": Out(width),
                "take": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        behind, more = Signal(range(self.depth)), Signal()  # words in the memory, any of them
        direct, fetch, keep = Signal(), Signal(), Signal()
        m.d.comb += [
            direct.eq(self.put & (~self.ready | (self.take & ~more))),
            fetch.eq(self.take & more),
            keep.eq(self.put & self.ready & (~self.take | more)),
        ]
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [write.data.eq(self.word), write.en.eq(keep)]
        for address, moves in ((write.addr, keep), (read.addr, fetch)):
            place = Signal.like(address, name="place")
            m.d.comb += address.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == self.depth - 1, 0, place + 1))
        m.d.sync += [
            self.ready.eq(self.put | more | (self.ready & ~self.take)),
            more.eq(keep | (more & ~(fetch & (behind == 1)))),
            behind.eq(behind + keep - fetch),
        ]
        with m.If(direct | fetch):
            m.d.sync += self.first.eq(Mux(more, read.data, self.word))
        return m
