"""What a circuit needs: multipliers, memory, logic; and what of it a board has."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.planning.boards import Board
from vle.compiler.planning.mapping import family_named, multipliers_of
from vle.compiler.planning.memories import MemoryNeed, memories
from vle.compiler.planning.products import LANES, ProductNeed, products

LUTS_TOP, LUTS_ENGINE, LUTS_LANE = 1200, 700, 40  # rough, for the warning that logic may not do


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


def lane_multipliers(learning: LearningNetwork | None) -> int:
    """Multipliers of a lane: one, and where it learns one for the errors and one for updates."""
    return 1 if learning is None else 3


def resources(chip: ChipSpec) -> Resources:
    """Count what a chip needs, whatever it is built on."""
    return Resources(products(chip), memories(chip))


@dataclass(frozen=True)
class Fit:
    """How a chip fills a board; needed and offered."""

    multipliers: tuple[int, int]
    blocks: tuple[int, int]
    luts: tuple[int, int]

    @property
    def fits(self) -> bool:
        """Whether all is within what the board offers."""
        return all(need <= have for need, have in (self.multipliers, self.blocks, self.luts))


def fit(chip: ChipSpec, board: Board) -> Fit:
    """Estimate what the chip takes of a board."""
    need, family = resources(chip), family_named(board.family)
    hard, logic = multiplier_cost(need, board)
    blocks = sum(memory.blocks(family) for memory in need.memories)
    luts = LUTS_TOP + LUTS_ENGINE * len(chip.engines) + logic
    luts += LUTS_LANE * need.synapse_multipliers
    return Fit((hard, board.multipliers), (blocks, board.blocks), (luts, board.luts))


def multiplier_cost(need: Resources, board: Board) -> tuple[int, int]:
    """Hard multipliers, and look-up tables of the products that are made of logic."""
    family, hard, logic = family_named(board.family), 0, 0
    for product in need.products:
        if board.logic_neurons and product.kind not in LANES:
            logic += product.times * product.a * product.b
        else:
            hard += product.times * multipliers_of(product.a, product.b, family)
    return hard, logic
