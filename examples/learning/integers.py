"""The integer model of a chip, as one that learns from streams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from course import Course

from vle.compiler import LearningOptions, compile_model
from vle.compiler.learning.design import LearningDesign
from vle.compiler.learning.network import LearnState
from vle.compiler.learning.options import with_rates
from vle.compiler.learning.run import LearningSession, Steps, learn_raw
from vle.compiler.learning.targets import Targets
from vle.sim import Network

Rates = float | list[float]


@dataclass
class Window:
    """Some steps of a run: the state before, what was sent, what came, the state after."""

    before: LearnState
    steps: Steps
    output: np.ndarray
    after: LearnState


class IntegerStudent:
    """The integer model: every word is that of the chip.

    Parameters
    ----------
    design
        Compiled for learning.
    keep
        Steps to keep as a `Window`, from step `begin` on or from as near before it as fits a call.
    """

    def __init__(self, design: LearningDesign, keep: int = 0, begin: int = 0) -> None:
        self.design = design
        self.session = LearningSession(design.learning.reset())
        self.window: Window | None = None
        self._keep, self._begin, self._done = keep, begin, 0

    @classmethod
    def compiled(cls, start: Network, calibration: np.ndarray, **options: Any) -> IntegerStudent:
        """Compile a network; `lanes`, `keep` and `begin` as named, other options of learning."""
        own = {name: options.pop(name) for name in ("keep", "begin") if name in options}
        design = compile_model(
            start,
            calibration=calibration,
            lanes=options.pop("lanes", None),
            learning=LearningOptions(**options),
        )
        assert isinstance(design, LearningDesign)
        return cls(design, **own)

    def learn(self, course: Course, rate: Rates, tau_rate: Rates | None = None) -> np.ndarray:
        """Learn, and return the answers on the way."""
        net, design = self.design.learning, self.design
        assert self.session.state is not None
        self.session.state = with_rates(
            net, self.session.state, rate, tau_rate, design.reference.beta
        )
        targets = Targets.of(net, course.y, len(course), are_errors=False)
        x = design.input_format.quantize(course.x)
        steps = Steps(x, targets, course.start, course.freeze)
        end = self._done + len(course)
        cut, keep = end, min(self._keep, len(course))
        if keep and self.window is None and end > self._begin:
            cut = max(self._done, min(self._begin, end - keep))
        cuts = [0, cut - self._done, min(cut + keep, end) - self._done, len(course)]
        outputs = [self._run(_part(steps, *ends), k == 1) for k, ends in enumerate(_spans(cuts))]
        self._done = end
        return design.output_format.real(np.concatenate(outputs))

    def _run(self, steps: Steps, kept: bool) -> np.ndarray:
        if not len(steps.x):
            return np.zeros((0, self.design.network.layers[-1].outputs), np.int64)
        before = self.session.state
        output = learn_raw(self.design.learning, self.session, steps).output[:, 0]
        if kept:
            self.window = Window(before, steps, output, self.session.state)
        return output

    def run(self, x: np.ndarray) -> np.ndarray:
        """Answer sequences `(T, batch, inputs)`, each from reset, and learn nothing."""
        self.design.restore(self.session.state)
        return self.design.run(x)

    @property
    def network(self) -> Network:
        """What it has learned so far."""
        self.design.restore(self.session.state)
        return self.design.learned

    @property
    def clamped(self) -> int:
        """Words clamped so far, by learning and by running."""
        learned = sum(sum(layer) for layer in self.session.clamped)
        return learned + sum(s.current + s.prosp + s.rate for s in self.session.saturation)


def _spans(cuts: list[int]) -> list[tuple[int, int]]:
    return list(pairwise(cuts))


def _part(steps: Steps, begin: int, end: int) -> Steps:
    at, told = slice(begin, end), steps.targets
    targets = Targets(told.words[at], told.present[at], told.are_errors)
    return Steps(steps.x[at], targets, steps.start[at], steps.freeze[at])
