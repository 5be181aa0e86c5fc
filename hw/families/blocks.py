"""A memory of many cells: which bits lie in which cell, and which row of cells answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value

from vle.compiler.planning.mapping import Layout, Shape
from vle.hw.primitives.memory import RegisteredMemory

BYTE = 9  # with its ninth bit


class Piece(NamedTuple):
    """Bits of a word that lie side by side in a cell.

    Parameters
    ----------
    lane
        Whose enable writes them.
    low, bits
        The lowest one's place in the word, and how many they are.
    place
        Where they begin in the cell's word.
    """

    lane: int
    low: int
    bits: int
    place: int


class Cell(NamedTuple):
    """One cell of a memory, to be built.

    Parameters
    ----------
    memory
        What it is part of.
    pieces
        What it holds.
    words
        At power-up, as the cell holds them.
    here
        Whether what is written goes to its row.
    o
        Its word as read, to be driven.
    """

    memory: RegisteredMemory
    pieces: tuple[Piece, ...]
    words: tuple[int, ...]
    here: Value
    o: Signal


def blocks(
    memory: RegisteredMemory, found: Layout, build: Callable[[Cell], Module], *, inside: int = 1
) -> Module:
    """Build a memory of cells that `build` makes, whose words come `inside` clocks after addresses.

    Registers up to the memory's latency follow behind the choice of the row.
    """
    assert found.shape is not None
    m, depth = Module(), found.shape.depth
    inner = depth.bit_length() - 1
    rows = []
    for row in range(found.rows):
        here = C(1, 1) if found.rows == 1 else memory.w_addr[inner:] == row
        word = Signal(memory.shape.width, name=f"row{row}")
        for column, pieces in enumerate(_columns(memory, found)):
            init = memory.init[row * depth : (row + 1) * depth]
            o = Signal(found.shape.width, name=f"cell{row}_{column}")
            cell = Cell(memory, pieces, tuple(_held(w, pieces) for w in init), here, o)
            m.submodules[f"block{row}_{column}"] = build(cell)
            m.d.comb += [word[p.low :][: p.bits].eq(o[p.place :][: p.bits]) for p in pieces]
        rows.append(word)
    chosen = rows[-1]
    place = _later(m, memory, memory.r_addr[inner:], inside) if found.rows > 1 else None
    for row, word in enumerate(rows[:-1]):
        chosen = Mux(place == row, word, chosen)
    m.d.comb += memory.r_data.eq(_later(m, memory, chosen, memory.latency - inside))
    return m


def written(cell: Cell, shape: Shape, piece: int) -> tuple[Value, Value]:
    """Return the enables of a block's groups of 9 bits, and its word on 36 pins."""
    memory, enables, data = cell.memory, [], C(0, 0)
    groups = max(1, shape.width // BYTE)
    for held in cell.pieces:
        data = Cat(data, memory.w_data[held.low :][: held.bits], C(0, piece - held.bits))
        enables += [memory.w_en[held.lane]] * max(1, piece // BYTE)
    enables += [C(0, 1)] * (groups - len(enables))
    return Cat(enables), Cat(data, C(0, 4 * BYTE - len(data)))


def _columns(memory: RegisteredMemory, found: Layout) -> list[tuple[Piece, ...]]:
    """Pieces of the cells of a word: lane by lane, from the lowest bits on."""
    assert found.shape is not None
    width, per_cell = memory.lane_width, found.shape.width // found.piece
    every = [
        (lane, lane * width + low, min(found.piece, width - low))
        for lane in range(memory.lanes)
        for low in range(0, width, found.piece)
    ]
    return [
        tuple(Piece(*piece, k * found.piece) for k, piece in enumerate(every[at : at + per_cell]))
        for at in range(0, len(every), per_cell)
    ]


def _held(word: int, pieces: tuple[Piece, ...]) -> int:
    return sum((word >> p.low & (1 << p.bits) - 1) << p.place for p in pieces)


def _later(m: Module, memory: RegisteredMemory, value: Value, clocks: int) -> Value:
    """Return the value so many clocks later, of those in which the memory's registers go on."""
    for _ in range(clocks):
        register = Signal.like(value, name="late", reset_less=True)
        with m.If(memory.r_en):
            m.d.sync += register.eq(value)
        value = register
    return value
