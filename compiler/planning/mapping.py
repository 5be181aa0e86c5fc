"""How products and memories map to the cells of an FPGA family: one rule for plan and circuit.

`vle.hw.families` builds what this says, so what a plan counts is there by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from vle.errors import CompileError


class Style(StrEnum):
    """What a memory is made of; the values are those of yosys' attribute `ram_style`."""

    REGISTERS = "registers"
    DISTRIBUTED = "distributed"
    BLOCK = "block"
    HUGE = "huge"


@dataclass(frozen=True)
class Shape:
    """One way to use a memory cell that has a port to write and one to read.

    Parameters
    ----------
    width, depth
        Bits of a word, words.
    enable
        Bits that are written together; `width` where a word is written whole.
    """

    width: int
    depth: int
    enable: int


@dataclass(frozen=True)
class Family:
    """Cells of a family.

    Parameters
    ----------
    name
        As boards name it.
    multiplier, piece
        Signed bits of the factors of a hard multiplier, and bits of an unsigned factor.
    narrowest_product
        Bits of the narrowest product that a hard multiplier is taken for.
    thin
        Bits of the narrowest piece of a factor that one is taken for.
    paired
        Bits of the factors of which a hard multiplier of a synapse array makes two products.
    block
        Shapes of a memory block.
    distributed
        Shape of a memory made of look-up tables; None: there are none.
    huge
        Shape of a large memory with one port; None: there are none.
    small
        So many cells of distributed memory, or else so many registers, are taken rather than a
        block.
    """

    name: str
    multiplier: int
    piece: int
    narrowest_product: int
    thin: int
    paired: int
    block: tuple[Shape, ...]
    distributed: Shape | None
    huge: Shape | None
    small: int


def _halved(widths: tuple[int, ...], enables: tuple[int, ...], depth: int) -> tuple[Shape, ...]:
    """Shapes from the widest on, each twice as deep as the one before."""
    pairs = zip(widths, enables, strict=True)
    return tuple(Shape(w, depth << k, enable) for k, (w, enable) in enumerate(pairs))


_LATTICE = _halved((36, 18, 9, 4, 2, 1), (9, 9, 9, 4, 2, 1), 512)  # 18 Kbit, both ports apart
_ICE40 = _halved((16, 8, 4, 2), (1, 8, 4, 2), 256)

FAMILIES = {
    family.name: family
    for family in (
        Family("ecp5", 18, 17, 0, 0, 0, _LATTICE, Shape(4, 16, 4), None, 16),
        Family("ice40", 16, 16, 11, 4, 8, _ICE40, None, Shape(16, 16384, 4), 64),
        Family("gowin", 18, 17, 0, 0, 0, _LATTICE, Shape(4, 16, 4), None, 8),
        Family("generic", 18, 17, 0, 0, 0, _LATTICE, None, None, 1024),
    )
}


def family_named(name: str) -> Family:
    """Return the family of that name.

    Raises
    ------
    CompileError
        If there is none.
    """
    if name not in FAMILIES:
        raise CompileError(f"family must be one of {', '.join(FAMILIES)}, not {name!r}")
    return FAMILIES[name]


def multipliers_of(a: int, b: int, family: Family) -> int:
    """Count the hard multipliers of a product of signed `a` by `b` bits, at once.

    An unsigned factor has one bit more as a signed one. A factor that is too wide is cut into
    unsigned pieces and what is left above them, signed.
    """
    if min(a, b) < 2:
        return 0
    pairs = product(pieces_of(a, family), pieces_of(b, family))
    return sum(is_hard(x, y, family) for x, y in pairs)


def is_hard(x: int, y: int, family: Family) -> bool:
    """Whether a product of two pieces, of so many bits, has a hard multiplier."""
    return x + y >= family.narrowest_product and min(x, y) >= family.thin


def lanes_multipliers(a: int, b: int, lanes: int, family: Family) -> int:
    """Count the hard multipliers of the products of a synapse array."""
    if max(a, b) <= family.paired:
        return -(-lanes // 2)
    return lanes * multipliers_of(a, b, family)


def pieces_of(bits: int, family: Family) -> list[int]:
    """Bits of the pieces of a signed factor, the lowest first; the last one is signed."""
    above = max(0, -(-(bits - family.multiplier) // family.piece))
    return [family.piece] * above + [bits - above * family.piece]


@dataclass(frozen=True)
class Layout:
    """How a memory lies in its cells.

    Parameters
    ----------
    style
        What it is made of.
    shape
        Of each cell; None for registers.
    rows, columns
        Cells in the direction of addresses, and those of one word.
    piece, pieces
        A lane is cut into `pieces` of at most `piece` bits, the lowest first; lane by lane they
        fill the cells of a word, `shape.width // piece` to a cell.
    """

    style: Style
    shape: Shape | None
    rows: int
    columns: int
    piece: int
    pieces: int

    @property
    def cells(self) -> int:
        """Cells in all."""
        return self.rows * self.columns


def layout(
    width: int,
    depth: int,
    lanes: int,
    family: Family,
    *,
    style: Style | None = None,
    at_once: bool = False,
) -> Layout:
    """Lay out a memory of `depth` words of `lanes` lanes, each of `width` bits with its own enable.

    The fewest cells, then the fewest rows. A small one is no block.

    Parameters
    ----------
    style
        Chosen already; None: by size.
    at_once
        Whether a word is read in the clock of its address, which no block can.
    """
    cell, blocks = family.distributed, [_fill(width, depth, lanes, s) for s in family.block]
    best = min(blocks, key=lambda block: (block.cells, block.rows))
    if style is None:
        logic = _fill(width, depth, lanes, cell, Style.DISTRIBUTED) if cell else None
        size = logic.cells if logic else width * depth * lanes
        small = at_once or size <= family.small * best.cells
        style = (Style.DISTRIBUTED if logic else Style.REGISTERS) if small else Style.BLOCK
    if style is Style.BLOCK:
        return best
    if style is Style.REGISTERS:
        return Layout(style, None, 1, 1, width, 1)
    shape = cell if style is Style.DISTRIBUTED else family.huge
    if shape is None:
        raise ValueError(f"style must be one that {family.name} has, not {style!r}")
    return _fill(width, depth, lanes, shape, style)


def _fill(width: int, depth: int, lanes: int, shape: Shape, style: Style = Style.BLOCK) -> Layout:
    """Cells of one shape: words written whole fill them, lanes keep to their enables."""
    piece = shape.enable if lanes > 1 else shape.width
    pieces = -(-width // piece)
    columns = -(-lanes * pieces // (shape.width // piece))
    return Layout(style, shape, -(-depth // shape.depth), columns, piece, pieces)


def blocks_of(width: int, depth: int, lanes: int, family: Family, *, at_once: bool = False) -> int:
    """Count the memory blocks of a memory, see `layout`."""
    found = layout(width, depth, lanes, family, at_once=at_once)
    return found.cells if found.style is Style.BLOCK else 0
