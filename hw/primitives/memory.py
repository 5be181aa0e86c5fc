"""A memory whose words are registered before they are used."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

APART = {"no_rw_check": 1}  # yosys need not keep up what a clash of read and write would show


def registers_first(platform) -> bool:
    """Whether a memory's word is better registered before logic than behind it.

    So it is where blocks have a register for it; elsewhere it would be one more for every memory
    that the logic chooses from.
    """
    return getattr(platform, "registers_first", False)


class RegisteredMemory(wiring.Component):
    """One port to read, `latency` clocks from address to word, and one to write.

    What is read of a word in the clock in which it is written has no meaning. Nothing resets the
    registers.

    Parameters
    ----------
    shape
        Of a word.
    depth
        Words.
    init
        Words at power-up; 0 behind the last of them.
    lanes
        Equal parts of a word that are written each by its own enable.
    latency
        2, or 1 for a word that goes through logic before it is registered.
    shared
        Whether both addresses are the same, and nothing is read, whenever anything is written.
    written
        Whether there is a port to write; a small memory without one is made of logic.

    Members
    -------
    r_addr, r_en, r_data
        Address; whether the registers go on; the word.
    w_addr, w_en, w_data
        Address; which lanes are written, lane 0 the lowest; the word.
    """

    def __init__(
        self,
        shape: Shape | int,
        depth: int,
        init: Sequence[int] = (),
        *,
        lanes: int = 1,
        latency: int = 2,
        shared: bool = False,
        written: bool = True,
    ):
        self.shape = Shape.cast(shape)
        if lanes < 1 or self.shape.width % lanes:
            raise ValueError(f"lanes must divide {self.shape.width} bits, not {lanes}")
        if latency not in (1, 2):
            raise ValueError(f"latency must be 1 or 2, not {latency}")
        self.depth, self.init, self.lanes = depth, list(init), lanes
        self.latency, self.shared, self.written = latency, shared, written
        address = In(ceil_log2(depth))
        super().__init__(
            {
                "r_addr": address,
                "r_en": In(1, init=1),
                "r_data": Out(self.shape),
                "w_addr": address,
                "w_en": In(lanes),
                "w_data": In(self.shape),
            }
        )

    @property
    def lane_width(self) -> int:
        """Bits of a lane."""
        return self.shape.width // self.lanes

    def elaborate(self, platform) -> Module:
        if hasattr(platform, "get_registered_memory"):
            return platform.get_registered_memory(self)
        return self.inferred()

    def inferred(self, ram_style: str | None = None) -> Module:
        """Return the memory as synthesis infers it, of that style where one is given."""
        m = Module()
        if ram_style is not None and not self.written:
            ram_style = "logic"
        attrs = APART if ram_style is None else {**APART, "ram_style": ram_style}
        width = self.shape.width
        words = [word & (1 << width) - 1 for word in self.init]
        m.submodules.words = memory = Memory(shape=width, depth=self.depth, init=words, attrs=attrs)
        read = memory.read_port()
        m.d.comb += [read.addr.eq(self.r_addr), read.en.eq(self.r_en)]
        if self.written:
            write = memory.write_port(granularity=self.lane_width)
            m.d.comb += [
                write.addr.eq(self.w_addr),
                write.en.eq(self.w_en),
                write.data.eq(self.w_data),
            ]
        word = read.data
        if self.latency > 1:
            word = Signal(width, reset_less=True)
            with m.If(self.r_en):
                m.d.sync += word.eq(read.data)
        m.d.comb += self.r_data.eq(word)
        return m
