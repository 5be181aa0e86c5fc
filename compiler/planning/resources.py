"""What a circuit needs: multipliers, memory and, roughly, logic."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.activation import Table
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.planning.boards import Board
from vle.compiler.planning.memories import MemoryNeed, memories

LOGIC_MEMORY_BITS = 1024  # a memory up to this size is made of logic, not of a block
LUTS_TOP, LUTS_ENGINE, LUTS_LANE = 1200, 700, 40  # rough, for the warning that logic may not do


@dataclass(frozen=True)
class Resources:
    """Totals of a chip.

    Parameters
    ----------
    synapse_multipliers, neuron_multipliers
        Multiplications per clock in the lanes and in the neuron pipelines.
    memories
        Each of them, padding and queues included.
    """

    synapse_multipliers: int
    neuron_multipliers: int
    memories: tuple[MemoryNeed, ...]

    @property
    def multipliers(self) -> int:
        """All multiplications per clock."""
        return self.synapse_multipliers + self.neuron_multipliers

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(memory.bits for memory in self.memories)


def lane_multipliers(learning: LearningNetwork | None) -> int:
    """Multipliers of a lane: one, and where it learns one for the errors and one for updates."""
    return 1 if learning is None else 3


def resources(chip: ChipSpec) -> Resources:
    """Count what a chip needs, whatever it is built on."""
    return Resources(
        lane_multipliers(chip.learning) * sum(engine.lanes for engine in chip.engines),
        sum(len(_products(engine)) for engine in chip.engines),
        memories(chip),
    )


def _products(engine: Engine) -> list[tuple[int, int]]:
    """Widths of the two factors of each multiplication in the neuron pipeline."""
    d = engine.u_width + 1
    found = [(engine.acc_width, engine.scale_width + 1)]
    found += [(d, engine.constant_width + 1)] * 2  # rho and alpha; they are unsigned
    circuits = [spec.activation for spec in engine.layers]
    spans = [c.shift + 1 for c in circuits if isinstance(c, Table)]
    if spans:
        found.append((engine.rate_width + 1, max(spans)))
    if len(spans) < len(circuits):
        found.append((engine.u_width, 18))
    return found


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
    need = resources(chip)
    hard, logic = neuron_cost(chip, board)
    lanes = sum(
        lane_multipliers(chip.learning)
        * engine.lanes
        * _tiles(engine.weight_width, engine.operand_width, board)
        for engine in chip.engines
    )
    blocks = sum(blocks_of(w, depth, banks, board) for _, _, w, depth, banks in need.memories)
    luts = LUTS_TOP + LUTS_ENGINE * len(chip.engines) + logic
    luts += LUTS_LANE * need.synapse_multipliers
    return Fit((lanes + hard, board.multipliers), (blocks, board.blocks), (luts, board.luts))


def neuron_cost(chip: ChipSpec, board: Board) -> tuple[int, int]:
    """Hard multipliers and look-up tables of all neuron pipelines' products."""
    products = [p for engine in chip.engines for p in _products(engine)]
    if board.logic_neurons:
        return 0, sum(a * b for a, b in products)
    return sum(_tiles(a, b, board) for a, b in products), 0


def _tiles(a: int, b: int, board: Board) -> int:
    """Hard multipliers that a product of signed `a` by `b` bits takes."""
    unit = board.multiplier_width - 1
    return -(-(a - 1) // unit) * -(-(b - 1) // unit)


def blocks_of(width: int, depth: int, banks: int, board: Board) -> int:
    """Memory blocks of `banks` memories that are addressed together."""
    if width * depth <= LOGIC_MEMORY_BITS:
        return 0
    return banks * -(-width * depth // board.block_bits)
