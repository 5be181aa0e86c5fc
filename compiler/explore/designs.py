"""Weight widths by lanes: what each design of a network would cost, and how far off it would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.explore.pool import Each
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.boards import Board
from vle.compiler.planning.plan import plan
from vle.compiler.planning.resources import fit, resources
from vle.compiler.quantization.choice import Choice
from vle.compiler.search.judge import Judge
from vle.compiler.search.path import narrowing
from vle.compiler.search.sensitivity import FULL, Sensitivity, tries
from vle.errors import CompileError

BITS = (16, 10, 8, 6, 5, 4)
LANES = (4, 8, 16, 32, 64)
MIXED = 2


@dataclass(frozen=True)
class Quality:
    """How good a choice of widths is.

    Parameters
    ----------
    choice
        The widths.
    network
        Its integers; None where they cannot be had.
    error, accuracy
        As of `vle.compiler.search.judge.Judge`; no accuracy without labels.
    """

    choice: Choice
    network: NetworkSpec | None
    error: float
    accuracy: float | None


@dataclass(frozen=True)
class Judging:
    """A judge as a function that can be sent to another process."""

    judge: Judge

    def __call__(self, choice: Choice) -> Quality:
        """Judge a choice; linear algebra on one thread, so that all machines sum alike."""
        with threadpool_limits(1):
            error = self.judge.error(choice)
            known = self.judge.labelled is not None
            accuracy = self.judge.accuracy(choice) if known else None
            good = error < float("inf")
            network = self.judge.quantized(choice).network if good else None
        return Quality(choice, network, error, accuracy)

    def error(self, choice: Choice) -> float:
        """Judge the error alone."""
        with threadpool_limits(1):
            return self.judge.error(choice)


@dataclass(frozen=True)
class Planning:
    """A plan of engines as a function that can be sent to another process."""

    board: Board | None

    def __call__(self, wanted: tuple[Quality, int]) -> dict[str, Any] | None:
        """Plan a network for a number of lanes; None where it does not fit the board."""
        quality, lanes = wanted
        network = quality.network
        if network is None:
            return None
        try:
            folding = plan(network, lanes=lanes, board=self.board, explain=False)
        except CompileError:
            return None
        chip = ChipSpec(network, folding)
        need = resources(chip)
        bits, sizes = quality.choice.weight, [layer.weight.size for layer in network.layers]
        return {
            "weight_bits": list(bits),
            "mean_bits": sum(b * n for b, n in zip(bits, sizes, strict=True)) / sum(sizes),
            "mixed": len(set(bits)) > 1,
            "lanes": lanes,
            "error": quality.error,
            "accuracy": quality.accuracy,
            "memory_bits": need.memory_bits,
            "cycles_per_step": float(timing.steady_cycles(chip)),
            "multipliers": need.multipliers,
            "engines": len(chip.engines),
            "board": None if self.board is None else vars(fit(chip, self.board)),
        }


def explore(
    judge: Judge,
    each: Each,
    *,
    bits: Sequence[int] = BITS,
    lanes: Sequence[int] = LANES,
    mixed: int = MIXED,
    board: Board | None = None,
) -> list[dict[str, Any]]:
    """Judge and plan every width by every number of lanes.

    Parameters
    ----------
    judge
        Of the network.
    each
        Maps a function over items, in their order.
    bits, lanes
        Bits of a weight, and synapses worked on per clock.
    mixed
        How many choices of widths that differ from layer to layer to look at as well, spread over
        the way from wide to narrow.
    board
        That designs must fit.

    Returns
    -------
    Of each design, its widths, error, memory and clocks, and whether it is `pareto`: no other is as
    good in all of error (or accuracy), memory and clocks, and better in one.
    """
    full = Choice.uniform(FULL, judge.layers)
    judge.quantized(full)  # raises what no width can help
    choices = [Choice.uniform(b, judge.layers) for b in bits]
    if mixed:
        choices += _mixed(judge, each, mixed, choices)
    judged = list(each("widths", Judging(judge), choices))
    pairs = [(quality, count) for quality in judged for count in lanes]
    found = [row for row in each("plans", Planning(board), pairs) if row is not None]
    if not found:
        raise CompileError("none of the designs can be had" + " on this board" * bool(board))
    best = _pareto(found)
    return [row | {"pareto": good} for row, good in zip(found, best, strict=True)]


def _mixed(judge: Judge, each: Each, count: int, known: list[Choice]) -> list[Choice]:
    """Choices that differ from layer to layer, evenly spread over the way from wide to narrow."""
    full = Choice.uniform(FULL, judge.layers)
    errors = each("each layer alone", Judging(judge).error, tries(full))
    sensitivity = Sensitivity.of(errors, judge.layers)
    layers = judge.quantized(full).network.layers
    sizes = [layer.weight.size for layer in layers]
    path = narrowing(sensitivity, sizes, [(i,) for i in range(len(layers))], full)
    low, high = (min(max(c.weight) for c in known), max(max(c.weight) for c in known))
    inner = [
        c for c in path if len(set(c.weight)) > 1 and low <= sum(c.weight) / len(layers) < high
    ]
    if not inner:
        return []
    steps = max(1, min(count, len(inner)))
    return list(dict.fromkeys(inner[(2 * i + 1) * len(inner) // (2 * steps)] for i in range(steps)))


def _pareto(found: list[dict[str, Any]]) -> list[bool]:
    """Whether each design is not dominated by another."""
    costs = [(_loss(row), row["memory_bits"], row["cycles_per_step"]) for row in found]

    def dominated(cost: tuple[float, ...]) -> bool:
        return any(
            other != cost and all(a <= b for a, b in zip(other, cost, strict=True))
            for other in costs
        )

    return [not dominated(cost) for cost in costs]


def _loss(row: dict[str, Any]) -> float:
    """Return the labels missed where there are some, or the error."""
    return float(row["error"] if row["accuracy"] is None else 1 - row["accuracy"])
