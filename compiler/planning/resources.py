"""What a circuit needs: multipliers, memory, logic; and what of it a board has."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.beside import BESIDE
from vle.compiler.planning.boards import Board
from vle.compiler.planning.choices import choose, hard_multipliers, huge_layouts
from vle.compiler.planning.logic import estimate
from vle.compiler.planning.mapping import family_named
from vle.compiler.planning.memories import MemoryNeed, memories
from vle.compiler.planning.products import LANES, ProductNeed, products


@dataclass(frozen=True)
class Resources:
    """Totals of a chip, whatever it is built on.

    Parameters
    ----------
    products
        Each multiplication made in every clock.
    memories
        Each of them, padding and queues included.
    """

    products: tuple[ProductNeed, ...]
    memories: tuple[MemoryNeed, ...]

    @property
    def synapse_multipliers(self) -> int:
        """Multiplications per clock in the lanes."""
        return sum(need.times for need in self.products if need.kind in LANES)

    @property
    def multipliers(self) -> int:
        """All multiplications per clock."""
        return sum(need.times for need in self.products)

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(memory.bits for memory in self.memories)


def resources(chip: ChipSpec) -> Resources:
    """Count what a chip needs, whatever it is built on."""
    return Resources(products(chip), memories(chip))


@dataclass(frozen=True)
class Fit:
    """How a chip fills a board: needed, and offered beside what links it to a host.

    Parameters
    ----------
    multipliers, blocks, sprams
        Hard multipliers, memory blocks, large memories with one port: exact.
    luts
        Look-up tables: an estimate.
    cells
        Logic cells, as place and route counts them: look-up tables, and where a flip-flop without
        one takes a cell of its own, those, too.
    """

    multipliers: tuple[int, int]
    blocks: tuple[int, int]
    sprams: tuple[int, int]
    luts: tuple[int, int]
    cells: tuple[int, int]

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """What can run out, by what it is called."""
        return {
            "multipliers": self.multipliers,
            "memory blocks": self.blocks,
            "large memories": self.sprams,
            "logic cells": self.cells,
        }

    @property
    def fits(self) -> bool:
        """Whether all is within what the board offers."""
        return all(need <= have for need, have in self.parts.values())


def fit(chip: ChipSpec, board: Board) -> Fit:
    """Say what the chip takes of a board."""
    need, family = resources(chip), family_named(board.family)
    choices, beside = choose(chip, board), BESIDE[board.family]
    hard = sum(hard_multipliers(product, family, choices) for product in need.products)
    in_blocks = [m for m in need.memories if not (choices.huge and m.kind == "weights")]
    logic = estimate(chip, family, choices)
    cells = board.luts - beside.cells
    return Fit(
        multipliers=(hard, board.multipliers),
        blocks=(sum(m.blocks(family) for m in in_blocks), board.blocks - beside.blocks),
        sprams=(huge_layouts(need.memories, family) if choices.huge else 0, board.sprams),
        luts=(logic.luts, cells),
        cells=(logic.cells, cells),
    )
