"""What a chip is made of where a board leaves a choice: products of logic, large memories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.beside import BESIDE
from vle.compiler.planning.boards import Board
from vle.compiler.planning.mapping import (
    Family,
    Style,
    family_named,
    lanes_multipliers,
    layout,
    multipliers_of,
)
from vle.compiler.planning.memories import MemoryNeed, memories
from vle.compiler.planning.products import LANES, ProductNeed, products


@dataclass(frozen=True)
class Choices:
    """Choices for one chip on one board.

    Parameters
    ----------
    logic
        Kinds of products that have no hard multiplier.
    huge
        Whether weights lie in large memories, which hold nothing at power-up: a host, or a loader
        beside the chip, must write them.
    """

    logic: frozenset[str] = frozenset()
    huge: bool = False


def choose(chip: ChipSpec, board: Board) -> Choices:
    """Give the lanes their multipliers, others what is left; keep weights in blocks if they fit."""
    # a chip that learns reads weights and writes others at once, which one port cannot
    huge = chip.learning is None and _huge(memories(chip), board)
    return Choices(_logic(products(chip), board), huge)


def hard_multipliers(need: ProductNeed, family: Family, choices: Choices) -> int:
    """Count the hard multipliers of products of one kind."""
    if need.kind in LANES:
        return lanes_multipliers(need.a, need.b, need.times, family)
    if need.kind in choices.logic:
        return 0
    return need.times * multipliers_of(need.a, need.b, family)


def huge_layouts(needs: Iterable[MemoryNeed], family: Family) -> int:
    """Count the large memories that all weights take."""
    return sum(
        layout(need.width, need.depth, need.banks, family, style=Style.HUGE).cells
        for need in needs
        if need.kind == "weights"
    )


def _logic(needs: tuple[ProductNeed, ...], board: Board) -> frozenset[str]:
    """Kinds without hard multipliers: those by which the fewest look-up tables are spent."""
    kinds = sorted({need.kind for need in needs if need.kind not in LANES})
    if not board.logic_neurons:
        return frozenset()
    family, spent = family_named(board.family), {}
    for size in range(len(kinds) + 1):
        for logic in map(frozenset, combinations(kinds, size)):
            hard = sum(hard_multipliers(need, family, Choices(logic)) for need in needs)
            if hard <= board.multipliers:
                spent[logic] = sum(n.times * n.a * n.b for n in needs if n.kind in logic)
    return min(spent, key=spent.__getitem__, default=frozenset(kinds))


def _huge(needs: tuple[MemoryNeed, ...], board: Board) -> bool:
    """Whether blocks do not do and large memories would."""
    family = family_named(board.family)
    if family.huge is None or huge_layouts(needs, family) > board.sprams:
        return False
    return sum(need.blocks(family) for need in needs) > board.blocks - BESIDE[board.family].blocks
