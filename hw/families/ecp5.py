"""Lattice ECP5: products in MULT18X18D, memories in DP16KD, with the registers inside them.

Yosys infers both, but leaves their registers outside, which costs a third of the clock.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib.memory import Memory

from vle.compiler.planning.mapping import FAMILIES, Shape, Style, layout
from vle.hw.families.blocks import Cell, blocks, written
from vle.hw.families.factors import FACTOR, STAGES, filled, hard_product
from vle.hw.families.plain import plain_memory
from vle.hw.primitives.memory import RegisteredMemory
from vle.hw.primitives.product import Product

FAMILY = FAMILIES["ecp5"]
UNIT, UNITS, PER_INIT = 18, 1024, 16  # bits of a block's units
ADDRESS = 14


class ECP5:
    """Hooks of the family."""

    registers_first = True

    def get_product(self, product: Product) -> Module:
        """Build a product of hard multipliers, their input and output registers used first."""
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
    """One MULT18X18D: `o = a * b`, 1 to 3 clocks later.

    Factors of up to 18 bits; registers come in the order output, inputs, pipeline.
    """
    ports: dict[str, Any] = {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
    settings = {
        "p_SOURCEB_MODE": "B_SHIFT",  # SOURCEB decides; 0: the pins
        "p_RESETMODE": "SYNC",
        "p_GSR": "DISABLED",
        "p_MULT_BYPASS": "DISABLED",
    }
    stages = {"OUTPUT": "output", "INPUTA": "inputs", "INPUTB": "inputs", "PIPELINE": "pipeline"}
    for stage, name in stages.items():
        settings[f"p_REG_{stage}_CLK"] = "CLK0" if clocks >= STAGES[name] else "NONE"
        settings |= {f"p_REG_{stage}_CE": "CE0", f"p_REG_{stage}_RST": "RST0"}
    for name, factor in (("A", a), ("B", b)):
        bits, signed = filled(factor), int(factor.shape().signed)
        ports |= {f"i_{name}{k}": bits[k] for k in range(FACTOR)}
        ports |= {f"i_SIGNED{name}": Const(signed, 1), f"i_SOURCE{name}": Const(0, 1)}
    ports |= {f"o_P{k}": o[k] for k in range(len(o))}
    return Instance("MULT18X18D", **settings, **ports)


def _block(cell: Cell, shape: Shape, piece: int) -> Module:
    """Build one DP16KD: port A writes, port B reads."""
    m, memory = Module(), cell.memory
    mode = "OUTREG" if memory.latency > 1 else "NOREG"
    settings: dict[str, Any] = {
        f"p_INITVAL_{k:02X}": word for k, word in enumerate(_init(cell.words, shape.width))
    }
    ports: dict[str, Any] = {}
    for side in "AB":
        settings |= {
            f"p_DATA_WIDTH_{side}": shape.width,
            f"p_REGMODE_{side}": mode,
            f"p_CSDECODE_{side}": "0b000",
            f"p_WRITEMODE_{side}": "NORMAL",
            f"p_CLK{side}MUX": f"CLK{side}",
        }
        ports |= {f"i_CLK{side}": ClockSignal(), f"i_RST{side}": Const(0, 1)}
        ports |= {f"i_CS{side}{k}": Const(0, 1) for k in range(3)}
        ports[f"i_OCE{side}"] = memory.r_en
    settings |= {"p_RESETMODE": "SYNC", "p_ASYNC_RESET_RELEASE": "SYNC", "p_GSR": "DISABLED"}
    enables, data = written(cell, shape, piece)
    ports |= {"i_CEA": cell.here, "i_CEB": memory.r_en, "i_WEB": Const(0, 1)}
    several = len(enables) > 1  # then they lie on the lowest pins of the address
    ports["i_WEA"] = Const(1, 1) if several else enables
    inner = shape.depth.bit_length() - 1
    ports |= _address("A", memory.w_addr, inner, enables if several else C(0, 0))
    ports |= _address("B", memory.r_addr, inner, C(0, 0))
    ports |= {f"i_DI{'AB'[k // UNIT]}{k % UNIT}": data[k] for k in range(2 * UNIT)}
    wide = shape.width > UNIT  # low half at DOA, high half at DOB
    for k in range(shape.width):
        ports[f"o_DO{'AB'[k // UNIT] if wide else 'B'}{k % UNIT}"] = cell.o[k]
    m.submodules.ram = Instance("DP16KD", **settings, **ports)
    return m


def _address(side: str, address: Value, inner: int, low: Value) -> dict[str, Value]:
    """Address pins: enables or nothing below, words counted in units of their width."""
    filled = Cat(address[:inner], C(0, max(0, inner - len(address))))
    pins = Cat(low, C(0, ADDRESS - inner - len(low)), filled)
    return {f"i_AD{side}{k}": pins[k] for k in range(ADDRESS)}


def _init(words: tuple[int, ...], width: int) -> list[Const]:
    """Words at power-up, in units of 18 bits, each on 20 of a parameter."""
    units = [0] * UNITS
    per_byte = max(1, 8 // width) if width < 9 else 0
    for k, word in enumerate(words):
        if width == 2 * UNIT:
            units[2 * k], units[2 * k + 1] = word & (1 << UNIT) - 1, word >> UNIT
        elif width == UNIT:
            units[k] = word
        elif width == UNIT // 2:
            units[k // 2] |= word << k % 2 * 9
        else:
            byte, place = divmod(k, per_byte)
            units[byte // 2] |= word << (byte % 2 * 9 + place * width)
    return [
        Const(sum(unit << 20 * k for k, unit in enumerate(units[at : at + PER_INIT])), 320)
        for at in range(0, UNITS, PER_INIT)
    ]
