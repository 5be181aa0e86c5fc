"""Whole signals through the integer model that learns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vle.compiler import fast
from vle.compiler.fast import CompilerError
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.learning.network import LearningNetwork, LearnState, Target
from vle.compiler.learning.step import Clamped, Stepped
from vle.compiler.learning.targets import Targets
from vle.compiler.run import RawRun


@dataclass(frozen=True)
class Steps:
    """What a chip is sent, step by step.

    Parameters
    ----------
    x
        Raw input frames, shape `(T, inputs)`.
    targets
        Of each step.
    start, freeze
        Whether a step begins a sequence; whether it updates nothing. Shape `(T,)`.
    """

    x: Raw
    targets: Targets
    start: NDArray[np.bool_]
    freeze: NDArray[np.bool_]

    @classmethod
    def of(
        cls, x: Raw, targets: Targets, *, begins: bool, freeze: NDArray[np.bool_] | None = None
    ) -> Steps:
        """Make the steps of one sequence, which may begin with its first frame."""
        start = np.zeros(len(x), np.bool_)
        start[:1] = begins
        return cls(x, targets, start, np.zeros(len(x), np.bool_) if freeze is None else freeze)

    def delayed(self, steps: int) -> Steps:
        """Let each target wait for the answer to its frame; frames of zeros follow.

        What is frozen is the update by a target, which waits as it does; before the first one
        nothing is updated.
        """
        more = np.zeros(steps, np.bool_)
        none = Targets.none(steps, self.targets.words.shape[1])
        return Steps(
            np.concatenate([self.x, np.zeros((steps, self.x.shape[1]), np.int64)]),
            Targets(
                np.concatenate([none.words, self.targets.words]),
                np.concatenate([none.present, self.targets.present]),
                self.targets.are_errors,
            ),
            np.concatenate([self.start, more]),
            np.concatenate([~more, self.freeze]),
        )

    def held(self, times: int) -> Steps:
        """Repeat each frame and its target; all but the last of them update nothing."""
        last = np.arange(len(self.x) * times) % times == times - 1
        first = np.arange(len(self.x) * times) % times == 0
        return Steps(
            self.x.repeat(times, axis=0),
            Targets(
                self.targets.words.repeat(times, axis=0),
                self.targets.present.repeat(times),
                self.targets.are_errors,
            ),
            self.start.repeat(times) & first,
            self.freeze.repeat(times) | ~last,
        )


@dataclass
class LearningSession:
    """What a chip that learns remembers between two calls.

    Parameters
    ----------
    state
        After the last step; None before the first one since power-up.
    clamped, saturation
        Words clamped since power-up, per layer.
    """

    state: LearnState | None = None
    clamped: tuple[Clamped, ...] = field(default=())
    saturation: tuple[Saturation, ...] = field(default=())

    def count(self, clamped: tuple[Clamped, ...], saturation: tuple[Saturation, ...]) -> None:
        """Add to the counts."""
        before = self.clamped or (Clamped(),) * len(clamped)
        pairs = zip(before, clamped, strict=True)
        self.clamped = tuple(Clamped(*map(sum, zip(a, b, strict=True))) for a, b in pairs)
        words = self.saturation or (Saturation(),) * len(saturation)
        self.saturation = tuple(a.plus(b) for a, b in zip(words, saturation, strict=True))


@dataclass(frozen=True)
class LearningTrace(RawRun):
    """As `RawRun`, and errors: per layer `(T, 1, outputs)`; exponents `(T,)`."""

    v: tuple[Raw, ...] = field(default=(), repr=False)
    e: tuple[Raw, ...] = field(default=(), repr=False)
    exponent: tuple[Raw, ...] = field(default=(), repr=False)


def learn_raw(
    net: LearningNetwork, session: LearningSession, steps: Steps, *, trace: bool = False
) -> LearningTrace:
    """Run steps, learn where they say so, and leave the state in `session`.

    In C++ where the machine has a compiler, else in Python, which is slower and else the same.
    """
    try:
        return _fast(net, session, steps, trace=trace)
    except CompilerError:
        return _slow(net, session, steps, trace=trace)


def _fast(
    net: LearningNetwork, session: LearningSession, steps: Steps, *, trace: bool
) -> LearningTrace:
    got = fast.run(
        net,
        net.reset() if session.state is None else session.state,
        steps.x,
        steps.targets.words,
        has_target=steps.targets.present,
        is_error=steps.targets.are_errors,
        start=steps.start,
        freeze=steps.freeze,
        trace=trace,
    )
    session.count(got.clamped, got.saturation)
    session.state = got.state
    if got.traces is None:
        return LearningTrace(got.output[:, None])
    u, r, v, e = (tuple(layer[:, None] for layer in kind) for kind in got.traces[:4])
    return LearningTrace(got.output[:, None], u, r, v, e, got.traces.exponent)


def _slow(
    net: LearningNetwork, session: LearningSession, steps: Steps, *, trace: bool
) -> LearningTrace:
    state = net.reset() if session.state is None else session.state
    output = np.empty((len(steps.x), 1, net.network.layers[-1].outputs), np.int64)
    kept: list[tuple[Stepped, ...]] = []
    targets = steps.targets
    for t, frame in enumerate(steps.x):
        words = Target(targets.words[t], targets.are_errors) if targets.present[t] else None
        start, learn = bool(steps.start[t]), not steps.freeze[t]
        state, results = net.step(state, frame, words, start=start, learn=learn)
        output[t] = results[-1].r
        session.count(tuple(r.clamped for r in results), tuple(r.saturation for r in results))
        if trace:
            kept.append(results)
    session.state = state
    layers = list(zip(*kept, strict=True))
    return LearningTrace(
        output,
        u=tuple(np.array([got.u for got in layer])[:, None] for layer in layers),
        r=tuple(np.array([got.r for got in layer])[:, None] for layer in layers),
        v=tuple(np.array([got.errors.v for got in layer])[:, None] for layer in layers),
        e=tuple(np.array([got.errors.e for got in layer])[:, None] for layer in layers),
        exponent=tuple(np.array([got.exponent for got in layer]) for layer in layers),
    )
