"""Why a network does not fit a board, and what would help."""

from __future__ import annotations

from dataclasses import replace

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import BOARDS, Board
from vle.compiler.planning.mapping import blocks_of, family_named
from vle.compiler.planning.resources import Fit, fit


def refusal(chip: ChipSpec, board: Board) -> str:
    """Say by how much the smallest circuit misses the board, and what would help."""
    least = fit(chip, board)
    parts = (
        ("multipliers", least.multipliers),
        ("memory blocks", least.blocks),
        ("look-up tables", least.luts),
    )
    over = [
        f"{need} {what} of {have} ({need - have} too many)"
        for what, (need, have) in parts
        if need > have
    ]
    text = f"the network does not fit {board.name}: even one lane needs {', '.join(over)}"
    return f"{text}; {_remedy(chip, board, least)}"


def _remedy(chip: ChipSpec, board: Board, least: Fit) -> str:
    """Say how few bits per weight would do, and which board is large enough."""
    ways = []
    network = chip.network
    widest = max(layer.weight_width for layer in network.layers)
    for bits in range(widest - 1, 3, -1):
        saved = _weight_blocks(network, widest, board) - _weight_blocks(network, bits, board)
        if replace(least, blocks=(least.blocks[0] - saved, board.blocks)).fits:
            ways.append(f"{bits}-bit weights")
            break
    for other in sorted(BOARDS.values(), key=lambda b: b.memory_bits):
        if fit(chip, other).fits:
            ways.append(f"the board {other.name}")
            break
    return f"{' or '.join(ways) or 'only a smaller network'} would do"


def _weight_blocks(network: NetworkSpec, bits: int, board: Board) -> int:
    family = family_named(board.family)
    return blocks_of(bits, sum(layer.weight.size for layer in network.layers), 1, family)
