"""Gowin GW1N and GW2A: products in MULT18X18, memories in SDPB and SDPX9B.

Yosys infers both, but leaves their registers outside, where each takes a look-up table to pass
through, and chooses among kinds of them by rules of its own, which no plan could foretell.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib.memory import Memory

from vle.compiler.planning.mapping import FAMILIES, Shape, Style, layout
from vle.hw.families.blocks import BYTE, Cell, blocks, written
from vle.hw.families.factors import FACTOR, STAGES, filled, hard_product
from vle.hw.families.plain import plain_memory
from vle.hw.primitives.memory import RegisteredMemory
from vle.hw.primitives.product import Product

FAMILY = FAMILIES["gowin"]
ADDRESS, INITS = 14, 64  # bits of an address; parameters with words at power-up


class Gowin:
    """Hooks of the family."""

    registers_first = True

    def get_product(self, product: Product) -> Module:
        """Build a product of hard multipliers, their output and input registers used first."""
        return hard_product(product, FAMILY, multiplier)

    def get_memory(self, memory: Memory) -> Elaboratable:
        """Build a memory of Amaranth's own library."""
        return plain_memory(memory, FAMILY)

    def get_registered_memory(self, memory: RegisteredMemory) -> Module:
        """Build a memory of blocks, or of look-up tables where it is small."""
        found = layout(memory.lane_width, memory.depth, memory.lanes, FAMILY)
        if found.style is not Style.BLOCK:
            return memory.inferred(found.style)
        shape, piece = found.shape, found.piece
        assert shape is not None

        def build(cell: Cell) -> Module:
            return _block(cell, shape, piece)

        return blocks(memory, found, build, inside=memory.latency)


def multiplier(a: Value, b: Value, o: Signal, clocks: int) -> Instance:
    """One MULT18X18: `o = a * b`, 1 to 3 clocks later; see `factors.STAGES` for its registers."""
    stages = {"AREG": "inputs", "BREG": "inputs", "PIPE_REG": "pipeline", "OUT_REG": "output"}
    words: dict[str, Any] = {
        f"p_{name}": Const(clocks >= STAGES[stage], 1) for name, stage in stages.items()
    }
    words |= {f"p_{name}": Const(0, 1) for name in ("ASIGN_REG", "BSIGN_REG", "SOA_REG")}
    words |= {"i_CLK": ClockSignal(), "i_CE": Const(1, 1), "i_RESET": Const(0, 1)}
    for name, factor in (("A", a), ("B", b)):
        words |= {f"i_{name}": filled(factor), f"i_{name}SIGN": Const(factor.shape().signed, 1)}
        words |= {f"i_{name}SEL": Const(0, 1), f"i_SI{name}": Const(0, FACTOR)}
    return Instance("MULT18X18", p_MULT_RESET_MODE="SYNC", o_DOUT=o, **words)


def _block(cell: Cell, shape: Shape, piece: int) -> Module:
    """Build one memory block: port A writes, port B reads."""
    m, memory, width = Module(), cell.memory, shape.width
    nine = width >= BYTE
    pins = 36 if nine else 32
    settings: dict[str, Any] = {
        "p_READ_MODE": Const(memory.latency > 1, 1),
        "p_BIT_WIDTH_0": width,
        "p_BIT_WIDTH_1": width,
        "p_BLK_SEL_0": Const(0, 3),
        "p_BLK_SEL_1": Const(0, 3),
        "p_RESET_MODE": "SYNC",
    }
    settings |= {f"p_INIT_RAM_{k:02X}": word for k, word in enumerate(_init(cell.words, width))}
    enables, data = written(cell, shape, piece)
    several = len(enables) > 1  # then they lie on the lowest pins of the address
    ports = {
        "i_CLKA": ClockSignal(),
        "i_CLKB": ClockSignal(),
        "i_CEA": cell.here & enables.any(),
        "i_CEB": memory.r_en,
        "i_OCE": memory.r_en,
        "i_RESETA": Const(0, 1),
        "i_RESETB": Const(0, 1),
        "i_BLKSELA": Const(0, 3),
        "i_BLKSELB": Const(0, 3),
        "i_ADA": _address(memory.w_addr, width, enables if several else C(0, 0)),
        "i_ADB": _address(memory.r_addr, width, C(0, 0)),
        "i_DI": data[:pins],
    }
    out = Signal(pins, name="out")
    m.submodules.ram = Instance("SDPX9B" if nine else "SDPB", **settings, **ports, o_DO=out)
    m.d.comb += cell.o.eq(out)
    return m


def _address(address: Value, width: int, enables: Value) -> Value:
    """Address pins: words counted in units of their width, enables below."""
    low = (width // BYTE * 8 or width).bit_length() - 1
    return Cat(enables, C(0, low - len(enables)), address[: ADDRESS - low], C(0, ADDRESS))[:ADDRESS]


def _init(words: tuple[int, ...], width: int) -> list[Const]:
    """Words at power-up side by side, as the parameters divide them."""
    total = sum(word << k * width for k, word in enumerate(words))
    size = 288 if width >= BYTE else 256
    return [Const(total >> k * size & (1 << size) - 1, size) for k in range(INITS)]
