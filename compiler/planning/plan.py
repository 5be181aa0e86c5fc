"""Which engines, and how wide: the folding that takes the fewest clocks per step."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.candidates import candidates
from vle.compiler.planning.refusal import refusal
from vle.compiler.planning.resources import fit, lane_multipliers, resources
from vle.errors import CompileError

DEFAULT_LANES = 32


def plan(
    network: NetworkSpec,
    *,
    lanes: int | None = None,
    board: Board | None = None,
    learning: LearningNetwork | None = None,
) -> Folding:
    """Choose engines for a number of lanes or for a board.

    Candidates come from the bound `max(sum of folds, neurons)` of every engine; the exact timing
    of the circuit decides among the best, then fewer multipliers.

    Raises
    ------
    CompileError
        For no lanes, and for a network that does not fit the board.
    """
    if board is not None:
        return _plan_board(network, board, lanes, learning)
    lanes = DEFAULT_LANES if lanes is None else lanes
    if lanes < 1:
        raise CompileError(f"lanes must be 1 or more, not {lanes}")
    return _fastest(network, candidates(network, lanes, 0), learning)


def _fastest(
    network: NetworkSpec, foldings: Iterable[Folding], learning: LearningNetwork | None
) -> Folding:
    best: tuple[Fraction, int, int] | None = None
    chosen: Folding | None = None
    for folding in foldings:
        chip = ChipSpec(network, folding, learning)
        judged = (
            Fraction(timing.steady_cycles(chip)),
            resources(chip).multipliers,
            timing.latency(chip),
        )
        if best is None or judged < best:
            best, chosen = judged, folding
    assert chosen is not None
    return chosen


def _plan_board(
    network: NetworkSpec, board: Board, lanes: int | None, learning: LearningNetwork | None
) -> Folding:
    """Take as many lanes as the board's multipliers, then its memory blocks and logic, allow."""
    alone = Folding((EngineSpec(1, 1, tuple(range(len(network.layers)))),))
    smallest = ChipSpec(network, alone, learning)
    least = fit(smallest, board)
    if not least.fits:
        raise CompileError(refusal(smallest, board))
    per_lane = lane_multipliers(learning)
    overhead = 0 if board.logic_neurons else -(-(least.multipliers[0] - per_lane) // per_lane)
    most = board.multipliers // per_lane
    if lanes is not None:
        most = min(most, lanes + overhead)
    while most > overhead:
        fitting = [
            folding
            for folding in candidates(network, most, overhead)
            if fit(ChipSpec(network, folding, learning), board).fits
        ]
        if fitting:
            return _fastest(network, fitting, learning)
        most -= max(1, most // 16)
    return smallest.folding
