"""The engines that fill a board best."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.candidates import candidates
from vle.compiler.planning.choices import choose, hard_multipliers
from vle.compiler.planning.mapping import family_named
from vle.compiler.planning.products import LANES
from vle.compiler.planning.resources import fit, resources

MANY = 16  # lanes
SPRAM_BITS = 1 << 18


def smallest(network: NetworkSpec, learning: LearningNetwork | None) -> ChipSpec:
    """All layers on one engine of one lane."""
    alone = Folding((EngineSpec(1, 1, tuple(range(len(network.layers)))),))
    return ChipSpec(network, alone, learning)


def fastest(
    network: NetworkSpec, foldings: Iterable[Folding], learning: LearningNetwork | None
) -> Folding:
    """Return the folding of the fewest clocks per step; then of fewer multipliers."""
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


def fill(network: NetworkSpec, board: Board, learning: LearningNetwork | None) -> Folding | None:
    """Take as many lanes as multipliers, then memory and logic, allow; None where nothing fits."""
    if _weight_bits(network) > board.memory_bits + board.sprams * SPRAM_BITS:
        return None
    least = smallest(network, learning)
    lane, engine = _costs(least, board)
    budget = int(board.multipliers // lane)
    while budget > engine:
        fitting = within(network, board, learning, candidates(network, budget, engine))
        if fitting:
            return fastest(network, fitting, learning)
        budget -= max(1, budget // 16)
    return least.folding if fit(least, board).fits else None


def _weight_bits(network: NetworkSpec) -> int:
    """Bits of all weights, without any padding."""
    return sum(layer.weight.size * layer.weight_width for layer in network.layers)


def within(
    network: NetworkSpec,
    board: Board,
    learning: LearningNetwork | None,
    foldings: Iterable[Folding],
) -> list[Folding]:
    """Those that fit the board; where there are any, those whose weights are kept without power."""
    fitting = [f for f in foldings if fit(ChipSpec(network, f, learning), board).fits]
    lasting = [f for f in fitting if not choose(ChipSpec(network, f, learning), board).huge]
    return lasting or fitting


def _costs(least: ChipSpec, board: Board) -> tuple[Fraction, int]:
    """Hard multipliers of a lane, and how many lanes' worth of them each engine takes beside.

    Lanes are counted many at once: where factors are narrow a family may pack several into one.
    """
    lane, beside, family = Fraction(0), 0, family_named(board.family)
    choices = choose(least, board)
    for need in resources(least).products:
        if need.kind in LANES:
            lane += Fraction(hard_multipliers(need._replace(times=MANY), family, choices), MANY)
        elif not board.logic_neurons:
            beside += hard_multipliers(need, family, choices)
    lane = max(lane, Fraction(1, MANY))
    return lane, int(-(-beside // lane))
