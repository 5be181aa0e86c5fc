"""Formats that a compilation takes: those asked for, refined, or those that a goal asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vle.compiler.quantization.choice import Choice
from vle.compiler.search.goal import Goal
from vle.compiler.search.judge import Judge
from vle.compiler.search.refine import refined
from vle.compiler.search.search import Plan, Progress, search
from vle.compiler.search.sensitivity import FULL, Sensitivity, tries

NOTHING: dict[str, Any] = {"sensitivity": None, "search": None}


@dataclass(frozen=True)
class Wanted:
    """What a user asks of the formats.

    Parameters
    ----------
    weight
        Bits of a weight of each layer; what they are compared with where there is a goal.
    goal
        What to find them by instead.
    sensitivity
        Whether to say which layer hurts.
    progress
        Called with what is being tried.
    """

    weight: tuple[int, ...]
    goal: Goal | None = None
    sensitivity: bool = False
    progress: Progress | None = None

    @property
    def judged(self) -> bool:
        """Whether anything has to be tried."""
        return self.goal is not None or self.sensitivity


@dataclass(frozen=True)
class Chosen:
    """Formats, and how they came about.

    Parameters
    ----------
    choice
        The formats.
    report
        `sensitivity` and `search` of the report; None where they were not asked for.
    notes
        What was clipped on purpose.
    """

    choice: Choice
    report: dict[str, Any] = field(default_factory=lambda: dict(NOTHING))
    notes: tuple[str, ...] = ()


def choose(wanted: Wanted, judge: Judge, plan: Plan) -> Chosen:
    """Choose formats.

    Raises
    ------
    CompileError
        For a goal that cannot be met.
    """
    if wanted.goal is not None:
        found = search(wanted.goal, judge, plan, wanted.progress)
        report = {"sensitivity": _table(found.sensitivity, found.choice), "search": found.report}
        return Chosen(found.choice, report, _notes(found.choice))
    choice = refined(judge, Choice(wanted.weight))
    report = dict(NOTHING)
    if wanted.sensitivity:
        report["sensitivity"] = _tried(judge, choice)
    return Chosen(choice, report, _notes(choice))


def _tried(judge: Judge, choice: Choice) -> dict[str, Any]:
    """Try each layer alone, at the bits that it has and with two less."""
    ladder = sorted({max(2, bits - less) for bits in choice.weight for less in (0, 2)})
    full = Choice((FULL,) * len(choice.weight), choice.finer)
    errors = map(judge.error, tries(full, ladder))
    return _table(Sensitivity.of(errors, judge.layers, ladder), choice)


def _table(sensitivity: Sensitivity, choice: Choice) -> dict[str, Any]:
    return {"base": sensitivity.base, "layers": sensitivity.table(choice)}


def _notes(choice: Choice) -> tuple[str, ...]:
    """Name the formats that clip."""
    names = ["inputs", *(f"rates of layer {index}" for index in range(len(choice.weight)))]
    finer = [f"{name} ({n})" for name, n in zip(names, choice.finer, strict=False) if n]
    if not finer:
        return ()
    text = "formats finer, by bits, than the largest values ask for, which lessens the error on"
    return (f"{text} the calibration data: {', '.join(finer)}",)
