"""Why a network does not fit a board, and what would: each way is tried before it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vle.compiler.circuit.folding import ChipSpec, Folding
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import BOARDS, Board
from vle.compiler.planning.candidates import candidates
from vle.compiler.planning.fill import fill, smallest
from vle.compiler.planning.resources import Fit, fit

NARROWEST = 4  # bits of a weight that are proposed


def refusal(
    network: NetworkSpec, board: Board, learning: LearningNetwork | None, *, explain: bool = True
) -> str:
    """Say by how much the smallest circuit misses the board, and what would fit."""
    over = _over(fit(smallest(network, learning), board))
    said = f"the network does not fit {board.name}: even one lane needs {over}"
    if not explain:
        return said
    would = " or ".join(_ways(network, board, learning)) or "only a smaller network"
    return f"{said}; {would} would do"


def too_many_lanes(
    network: NetworkSpec,
    board: Board,
    learning: LearningNetwork | None,
    lanes: int,
    largest: Folding,
) -> str:
    """Say what so many lanes would take, and how many lanes there can be."""
    wanted = next(iter(candidates(network, lanes, 0)))
    over = _over(fit(ChipSpec(network, wanted, learning), board))
    ways = [f"{largest.lanes} lanes", *_boards(network, board, learning, lanes)]
    return f"{lanes} lanes do not fit {board.name}: they need {over}; {' or '.join(ways)} would do"


def _over(found: Fit) -> str:
    return ", ".join(
        f"{need} {what} of {have} ({need - have} too many)"
        for what, (need, have) in found.parts.items()
        if need > have
    )


def _ways(network: NetworkSpec, board: Board, learning: LearningNetwork | None) -> Iterator[str]:
    """Change the model, or take another board."""
    if learning is None:
        bits = _bits(network, board)
        if bits is not None:
            yield f"{bits}-bit weights"
    elif fill(network, board, None) is not None:
        yield "a chip that does not learn"
    yield from _boards(network, board, learning)


def _boards(
    network: NetworkSpec, board: Board, learning: LearningNetwork | None, lanes: int = 1
) -> Iterator[str]:
    """Name the smallest other board that takes it, with so many lanes at least."""
    for other in sorted(BOARDS.values(), key=lambda each: each.memory_bits):
        folding = None if other == board else fill(network, other, learning)
        if folding is not None and folding.lanes >= lanes:
            yield f"the board {other.name} ({folding.lanes} lanes)"
            return


def _bits(network: NetworkSpec, board: Board) -> int | None:
    """Most bits of a weight with which the network fits; None: not even with `NARROWEST`."""
    low, high = NARROWEST - 1, max(layer.weight_width for layer in network.layers)
    while high - low > 1:
        middle = (low + high) // 2
        fits = fill(_narrowed(network, middle), board, None) is not None
        low, high = (middle, high) if fits else (low, middle)
    return low if low >= NARROWEST else None


def _narrowed(network: NetworkSpec, bits: int) -> NetworkSpec:
    """Return the network as it would be with narrower weights, as far as its size goes."""
    layers = []
    for layer in network.layers:
        drop = max(0, layer.weight_width - bits)
        width = layer.weight_width - drop
        layers.append(replace(layer, weight=layer.weight >> drop, weight_width=width))
    return NetworkSpec(tuple(layers))
