"""Which engines, and how wide: the folding that takes the fewest clocks per step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from vle.compiler.circuit.folding import Folding
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.candidates import candidates
from vle.compiler.planning.fill import fastest, fill, within
from vle.compiler.planning.refusal import refusal, too_many_lanes
from vle.errors import CompileError

DEFAULT_LANES = 32


def plan(
    network: NetworkSpec,
    *,
    lanes: int | None = None,
    board: Board | None = None,
    luts: int | None = None,
    learning: LearningNetwork | None = None,
    explain: bool = True,
) -> Folding:
    """Choose engines for a number of lanes, for a board, or for so many lanes on a board.

    Candidates come from the bound `max(sum of folds, neurons)` of every engine; the exact timing
    of the circuit decides among the best, then fewer multipliers.

    Parameters
    ----------
    luts
        Look-up tables of a board to stay below, or below twice as many, and so on: place and route
        takes longer the more there are, and reaches lower clocks.
    explain
        Whether an error is to say what would fit, which takes more plans.

    Raises
    ------
    CompileError
        For no lanes, and for a network that does not fit the board; it says what would do.
    """
    if lanes is not None and lanes < 1:
        raise CompileError(f"lanes must be 1 or more, not {lanes}")
    if board is None:
        some = candidates(network, DEFAULT_LANES if lanes is None else lanes, 0)
        return fastest(network, some, learning)
    if luts is not None and luts < board.luts:
        less = replace(board, luts=luts)
        with suppress(CompileError):
            return plan(network, lanes=lanes, board=less, learning=learning, explain=False)
        return plan(
            network, lanes=lanes, board=board, luts=2 * luts, learning=learning, explain=explain
        )
    if lanes is not None:
        several = list(candidates(network, lanes, 0))
        fitting = within(network, board, learning, several)
        if len(fitting) < len(several):  # an engine costs so much that there is but one
            alone = candidates(network, 2 * lanes, lanes)
            fitting = within(network, board, learning, [*fitting, *alone])
        if fitting:
            return fastest(network, fitting, learning)
        if not explain:
            raise CompileError(f"{lanes} lanes do not fit {board.name}")
    folding = fill(network, board, learning)
    if folding is None:
        raise CompileError(refusal(network, board, learning, explain=explain))
    if lanes is not None and folding.lanes < lanes:
        raise CompileError(too_many_lanes(network, board, learning, lanes, folding))
    return folding
