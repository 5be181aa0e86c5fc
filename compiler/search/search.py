"""The widths that a goal asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vle.compiler.circuit.folding import ChipSpec, Folding
from vle.compiler.network import NetworkSpec
from vle.compiler.planning.resources import resources
from vle.compiler.quantization.choice import Choice
from vle.compiler.search.goal import Goal
from vle.compiler.search.judge import Judge
from vle.compiler.search.path import LEAST, Group, narrowing
from vle.compiler.search.refine import refined
from vle.compiler.search.sensitivity import FULL, Sensitivity, tries
from vle.errors import CompileError

Progress = Callable[[str], None]
Plan = Callable[[NetworkSpec], Folding]


@dataclass(frozen=True)
class Found:
    """Widths that reach a goal.

    Parameters
    ----------
    choice
        The widths.
    sensitivity
        Of the layers.
    report
        What was asked and what is reached, as plain JSON.
    """

    choice: Choice
    sensitivity: Sensitivity
    report: dict[str, Any]


def search(goal: Goal, judge: Judge, plan: Plan, progress: Progress | None = None) -> Found:
    """Find the smallest widths of the quality asked for, or the best within the budget.

    The way from wide to narrow weights is that of `narrowing`; bisection finds where on it the goal
    is met, judged by the integer model itself, and single bits are tried from there. Everything is
    deterministic.

    Parameters
    ----------
    goal
        What is asked for.
    judge
        Of choices.
    plan
        Engines of an integer network; raises `CompileError` where it fits no board.
    progress
        Called with what is being tried.

    Raises
    ------
    CompileError
        Where the goal cannot be met, with what was reached.
    """
    return _Search(goal, judge, plan, progress or (lambda _: None)).run()


@dataclass(frozen=True)
class _Search:
    goal: Goal
    judge: Judge
    plan: Plan
    progress: Progress
    tried: dict[Choice, dict[str, float]] = field(default_factory=dict)

    def run(self) -> Found:
        full = Choice.uniform(FULL, self.judge.layers)
        self.judge.quantized(full)  # raises what no width can help
        full = refined(self.judge, full)
        if self.goal.quality and not self.good(full):
            self.refuse(full)
        sensitivity = self.sensitivity(full)
        path = narrowing(sensitivity, self.sizes, self.groups, full)
        choice = self.narrowest(path) if self.goal.quality else self.widest(path)
        if self.goal.quality and not self.affordable(choice):
            raise CompileError(
                f"the goal ({self.goal.asked}) cannot be met: the smallest weights of that quality "
                f"({_bits(choice)} bits by layer) are beyond the budget ({self.cost(choice)})"
            )
        return Found(choice, sensitivity, self.report(choice))

    def sensitivity(self, full: Choice) -> Sensitivity:
        """Try each layer alone."""
        choices, errors = tries(full), []
        for place, choice in enumerate(choices):
            self.progress(f"each layer alone with few bits: {place} of {len(choices)}")
            errors.append(self.judge.error(choice))
        return Sensitivity.of(errors, self.judge.layers)

    def narrowest(self, path: list[Choice]) -> Choice:
        """Last choice of the way that is good, then single bits less as long as it stays so."""
        choice = path[_last(self.good, path)]
        while True:
            for group in sorted(self.groups, key=lambda g: (-self.size(g), g)):
                bits = choice.weight[group[0]] - 1
                if bits >= LEAST and self.good(choice.at(group, bits)):
                    choice = choice.at(group, bits)
                    break
            else:
                return choice

    def widest(self, path: list[Choice]) -> Choice:
        """First choice of the way that is affordable, then single bits more as long as it is."""
        backwards = path[::-1]
        if not self.affordable(backwards[0]):
            raise CompileError(
                f"the goal ({self.goal.asked}) cannot be met: with {LEAST}-bit weights it is still "
                f"{self.cost(backwards[0])}"
            )
        choice = backwards[_last(self.affordable, backwards)]
        while True:
            for group in sorted(self.groups, key=lambda g: (-self.size(g), g)):
                bits = choice.weight[group[0]] + 1
                if bits <= FULL and self.affordable(choice.at(group, bits)):
                    choice = choice.at(group, bits)
                    break
            else:
                return choice

    def good(self, choice: Choice) -> bool:
        """Whether a choice has the quality asked for."""
        self.progress(f"weights of {_bits(choice)} bits")
        goal, tried = self.goal, self.tried.setdefault(choice, {})
        if goal.max_error is not None:
            tried.setdefault("error", self.judge.error(choice))
            return tried["error"] <= goal.max_error
        assert goal.target_accuracy is not None
        tried.setdefault("accuracy", self.judge.accuracy(choice))
        return tried["accuracy"] >= goal.target_accuracy

    def affordable(self, choice: Choice) -> bool:
        """Whether a choice is within all budgets."""
        goal = self.goal
        if goal.mean_bits is not None and self.mean(choice) > goal.mean_bits:
            return False
        if goal.max_memory is None and not goal.fit:
            return True
        try:
            memory = self.memory(choice)
        except CompileError:
            return False
        return goal.max_memory is None or memory <= goal.max_memory

    def cost(self, choice: Choice) -> str:
        """In words, what a choice takes."""
        mean = f"{self.mean(choice):.3g} bits per weight"
        try:
            return f"{self.memory(choice):,} bits of memory, {mean}"
        except CompileError as error:
            return f"{mean}; {error.message}"

    def memory(self, choice: Choice) -> int:
        """Bits of all memories, padding included."""
        spec = self.judge.quantized(choice).network
        return resources(ChipSpec(spec, self.plan(spec))).memory_bits

    def mean(self, choice: Choice) -> float:
        """Bits per weight on the average."""
        pairs = zip(self.sizes, choice.weight, strict=True)
        return sum(size * bits for size, bits in pairs) / sum(self.sizes)

    def size(self, group: Group) -> int:
        """Weights of a group."""
        return sum(self.sizes[layer] for layer in group)

    @cached_property
    def sizes(self) -> list[int]:
        """Weights of each layer."""
        spec = self.judge.quantized(Choice.uniform(FULL, self.judge.layers)).network
        return [layer.weight.size for layer in spec.layers]

    @cached_property
    def groups(self) -> list[Group]:
        """Layers whose engine they share: its memory is as wide as the widest of them."""
        narrow = Choice.uniform(8, self.judge.layers)
        try:
            folding = self.plan(self.judge.quantized(narrow).network)
        except CompileError:
            return [(layer,) for layer in range(self.judge.layers)]
        return sorted(tuple(sorted(engine.layers)) for engine in folding.engines)

    def refuse(self, full: Choice) -> None:
        """Say what the widest weights reach."""
        if self.goal.max_error is not None:
            error = self.tried[full]["error"]
            reached = f"{FULL}-bit weights reach an error of {error:.3g}"
        else:
            accuracy = self.tried[full]["accuracy"]
            reached = (
                f"{FULL}-bit weights reach an accuracy of {accuracy:.4g}, the float network "
                f"{self.judge.float_accuracy():.4g}"
            )
        raise CompileError(f"the goal ({self.goal.asked}) cannot be met: {reached}")

    def report(self, choice: Choice) -> dict[str, Any]:
        """Return what is asked and reached, as plain JSON."""
        reached: dict[str, Any] = {"error": self.judge.error(choice)}
        if self.goal.target_accuracy is not None:
            reached["accuracy"] = self.judge.accuracy(choice)
            reached["float_accuracy"] = self.judge.float_accuracy()
        return {
            "goal": self.goal.asked,
            "weight_bits": list(choice.weight),
            "mean_bits": self.mean(choice),
            "finer": list(choice.finer),
            "reached": reached,
            "tried": len(self.tried),
        }


def _bits(choice: Choice) -> str:
    return "-".join(map(str, choice.weight))


def _last(good: Callable[[Choice], bool], path: list[Choice]) -> int:
    """Index of the last good choice, where the first is good and bad ones follow good ones."""
    low, high = 0, len(path)  # good(path[low]), not good(path[high])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(path[middle]) else (low, middle)
    return low
