"""Lattice iCE40 UltraPlus: products in SB_MAC16, memories in SB_RAM40_4K and SB_SPRAM256KA.

Yosys infers multipliers one by one, where a block makes two products of 8 bits, and spends a
hundred look-up tables for each memory on keeping up what a clash of read and write would show.
"""

from __future__ import annotations

from itertools import product as pairs
from typing import Any

from amaranth.hdl import C, Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib.memory import Memory

from vle.compiler.planning.choices import Choices
from vle.compiler.planning.mapping import FAMILIES, Style, is_hard, layout, pieces_of
from vle.hw.families.blocks import Cell, blocks
from vle.hw.families.plain import plain_memory
from vle.hw.primitives.memory import RegisteredMemory
from vle.hw.primitives.product import Product, Products, registered

FAMILY = FAMILIES["ice40"]
FACTOR, HALF, WORD = 16, 8, 16  # bits of a multiplier's factors, of a half's; of a block's row
ROWS, PER_INIT = 256, 16  # of a block, and of one of its INIT parameters
HIGH = 3  # output of the multiplier as a whole; 1: of the adder's register


class ICE40:
    """Hooks of the family.

    Members
    -------
    choices
        Of the chip that is built: products made of logic, weights in the large memories.
    """

    choices = Choices()

    def get_products(self, products: Products) -> Module:
        """Build products of a synapse array, two in a block where they are narrow."""
        if max(len(products.a[0]), len(products.b[0])) > FAMILY.paired:
            return products.apart()
        m = Module()
        for low in range(0, products.count, 2):
            high = min(low + 1, products.count - 1)
            a, b = ([each[place] for place in (low, high)] for each in (products.a, products.b))
            o = Signal(2 * WORD, name=f"pair{low}")
            m.submodules[f"pair{low}"] = _two_products(a, b, o)
            m.d.comb += [products.o[low].eq(o), products.o[high].eq(o[(high - low) * WORD :])]
        return m

    def get_product(self, product: Product) -> Module:
        """Build a product of hard multipliers; thin pieces of its factors are logic."""
        if product.kind in self.choices.logic:
            return product.inferred()
        m = Module()
        a, b = _cut(product.a), _cut(product.b)
        summed = product.sums(len(a) * len(b))
        behind, parts = product.behind - summed, []
        for (x, x_place), (y, y_place) in pairs(a, b):
            part = Signal.like(x * y, name="part")
            if is_hard(len(x), len(y), FAMILY):
                m.submodules += _one_product((x, y), part, product.before, behind)
            else:
                both = [registered(m, value, product.before) for value in (x, y)]
                m.d.comb += part.eq(registered(m, both[0] * both[1], behind))
            parts.append(part.shift_left(x_place + y_place))
        product.connect(m, parts, int(summed))
        return m

    def get_memory(self, memory: Memory) -> Elaboratable:
        """Build a memory of Amaranth's own library."""
        return plain_memory(memory, FAMILY)

    def get_registered_memory(self, memory: RegisteredMemory) -> Module:
        """Build a memory of blocks, of large memories, or of registers where it is small."""
        style = Style.HUGE if memory.shared and self.choices.huge else None
        found = layout(memory.lane_width, memory.depth, memory.lanes, FAMILY, style=style)
        if found.style is Style.HUGE:
            return blocks(memory, found, _large)
        if found.style is Style.BLOCK:
            assert found.shape is not None
            return blocks(memory, found, _Block(WORD // found.shape.width).build)
        return memory.inferred(found.style)


def _cut(factor: Value) -> list[tuple[Value, int]]:
    """Pieces of a factor, as a signed one, and their places; the highest alone is signed."""
    value = factor if factor.shape().signed else Cat(factor, C(0, 1))
    found, place = [], 0
    for bits in pieces_of(len(value), FAMILY):
        piece, place = value[place : place + bits], place + bits
        found.append((piece if place < len(value) else piece.as_signed(), place - bits))
    return found


def _multiplier(factors: list[Value], o: Signal, signs: list[bool], **settings: int) -> Instance:
    """One SB_MAC16 without its adders' inputs; `settings` are those that are not 0."""
    one_bit = (
        *("NEG_TRIGGER", "A_REG", "B_REG", "C_REG", "D_REG", "MODE_8x8"),
        *("TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG"),
        *("PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2"),
        *("TOPADDSUB_UPPERINPUT", "BOTADDSUB_UPPERINPUT"),
    )
    two_bits = (
        *("TOPOUTPUT_SELECT", "TOPADDSUB_LOWERINPUT", "TOPADDSUB_CARRYSELECT"),
        *("BOTOUTPUT_SELECT", "BOTADDSUB_LOWERINPUT", "BOTADDSUB_CARRYSELECT"),
    )
    words: dict[str, Any] = {f"p_{name}": Const(settings.pop(name, 0), 1) for name in one_bit}
    words |= {f"p_{name}": Const(settings.pop(name, 0), 2) for name in two_bits}
    words |= {f"p_{name}_SIGNED": Const(sign, 1) for name, sign in zip("AB", signs, strict=True)}
    assert not settings
    idle = (
        *("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT"),
        *("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT"),
        *("CI", "ACCUMCI", "SIGNEXTIN"),
    )
    words |= {f"i_{name}": Const(0, 1) for name in idle}
    words |= {"i_C": Const(0, 16), "i_D": Const(0, 16), "i_A": factors[0], "i_B": factors[1]}
    return Instance("SB_MAC16", i_CLK=ClockSignal(), i_CE=Const(1, 1), o_O=o, **words)


def _one_product(factors: tuple[Value, Value], part: Signal, before: int, behind: int) -> Module:
    """`part` is their product, of up to 16 bits each, in the registers of the block."""
    m, o = Module(), Signal(2 * FACTOR)
    inner = int(behind > 1)
    m.submodules.mac = _multiplier(
        [_filled(value, FACTOR) for value in factors],
        o,
        [value.shape().signed for value in factors],
        A_REG=before,
        B_REG=before,
        TOP_8x8_MULT_REG=inner,
        BOT_8x8_MULT_REG=inner,
        PIPELINE_16x16_MULT_REG1=inner,
        PIPELINE_16x16_MULT_REG2=1,
        TOPOUTPUT_SELECT=HIGH,
        BOTOUTPUT_SELECT=HIGH,
    )
    m.d.comb += part.eq(o)
    return m


def _two_products(a: list[Value], b: list[Value], o: Signal) -> Instance:
    """Two products of signed factors of up to 8 bits, 2 clocks: of `o`, each has a half.

    The second register is that of the adders, which add the product to nothing.
    """
    return _multiplier(
        [Cat(_filled(value, HALF) for value in values) for values in (a, b)],
        o,
        [True, True],
        MODE_8x8=1,
        TOP_8x8_MULT_REG=1,
        BOT_8x8_MULT_REG=1,
        TOPADDSUB_LOWERINPUT=1,
        BOTADDSUB_LOWERINPUT=1,
        TOPADDSUB_UPPERINPUT=1,
        BOTADDSUB_UPPERINPUT=1,
        TOPOUTPUT_SELECT=1,
        BOTOUTPUT_SELECT=1,
    )


def _filled(value: Value, width: int) -> Value:
    """Return the value on so many bits, its sign repeated where it has one."""
    more = value[-1] if value.shape().signed else C(0, 1)
    return Cat(value, more.replicate(width - len(value)))


class _Block:
    """SB_RAM40_4K whose rows of 16 bits hold `step` words side by side, bit by bit in turn.

    Bit `k` of word `a` is bit `k * step + a // 256` of row `a % 256`; its pin is number
    `k * step + step / 2 - 1`, and `k` where a row is one word.
    """

    def __init__(self, step: int):
        self.step, self.width = step, WORD // step
        self.offset = max(0, step // 2 - 1)

    def build(self, cell: Cell) -> Module:
        """Build the block; where a row is one word, bits are written each by its lane's enable."""
        memory, mode = cell.memory, self.step.bit_length() - 1
        data, mask, enables = Signal(WORD), Signal(WORD), {piece.lane for piece in cell.pieces}
        settings = {f"p_INIT_{k:X}": word for k, word in enumerate(self._init(cell.words))}
        m = Module()
        for piece in cell.pieces:
            for k in range(piece.bits):
                pin = (piece.place + k) * self.step + self.offset
                m.d.comb += data[pin].eq(memory.w_data[piece.low + k])
                if self.step == 1:
                    m.d.comb += mask[pin].eq(~memory.w_en[piece.lane])
        output = Signal(WORD)
        m.d.comb += cell.o.eq(output[self.offset :: self.step])
        m.submodules.ram = Instance(
            "SB_RAM40_4K",
            p_READ_MODE=mode,
            p_WRITE_MODE=mode,
            **settings,
            i_RCLK=ClockSignal(),
            i_WCLK=ClockSignal(),
            i_RE=Const(1, 1),
            i_WE=Const(1, 1),
            i_RCLKE=memory.r_en,
            i_WCLKE=cell.here & Cat(memory.w_en[lane] for lane in enables).any(),
            i_RADDR=self._address(memory.r_addr),
            i_WADDR=self._address(memory.w_addr),
            i_MASK=mask,
            i_WDATA=data,
            o_RDATA=output,
        )
        return m

    def _address(self, address: Value) -> Value:
        inner = address[: (ROWS * self.step).bit_length() - 1]
        return Cat(inner, C(0, 11 - len(inner)))

    def _init(self, words: tuple[int, ...]) -> list[Const]:
        rows = [0] * ROWS
        for address, word in enumerate(words):
            for k in range(self.width):
                rows[address % ROWS] |= (word >> k & 1) << (k * self.step + address // ROWS)
        parts = [rows[at : at + PER_INIT] for at in range(0, ROWS, PER_INIT)]
        return [Const(sum(r << WORD * k for k, r in enumerate(part)), 256) for part in parts]


def _large(cell: Cell) -> Module:
    """SB_SPRAM256KA: one address, enables of 4 bits, no words at power-up."""
    memory, m = cell.memory, Module()
    data, mask = Signal(WORD), Signal(WORD // 4)
    for piece in cell.pieces:
        m.d.comb += data[piece.place :][: piece.bits].eq(memory.w_data[piece.low :][: piece.bits])
        m.d.comb += mask[piece.place // 4].eq(memory.w_en[piece.lane] & cell.here)
    address = memory.r_addr[:14]
    m.submodules.ram = Instance(
        "SB_SPRAM256KA",
        i_CLOCK=ClockSignal(),
        i_ADDRESS=Cat(address, C(0, 14 - len(address))),
        i_DATAIN=data,
        i_MASKWREN=mask,
        i_WREN=mask.any(),
        i_CHIPSELECT=Const(1, 1),
        i_STANDBY=Const(0, 1),
        i_SLEEP=Const(0, 1),
        i_POWEROFF=Const(1, 1),
        o_DATAOUT=cell.o,
    )
    return m
