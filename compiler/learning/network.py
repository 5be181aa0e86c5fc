"""A whole network that learns, and its two losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.learning import checks, noise, top
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.learning.step import (
    Above,
    Flags,
    Job,
    LearningState,
    Stepped,
    begin,
    cleared,
    step_layer,
)
from vle.compiler.network import LayerState, NetworkSpec, NetworkState

LOSSES = ("squared_error", "cross_entropy")


@dataclass(frozen=True)
class Target:
    """What the top layer is told in a step.

    Parameters
    ----------
    words
        Raw targets, shape `(outputs,)`: rates in the format of the top layer, or probabilities
        with `top.PROBABILITY_BITS` below the point, as the loss says.
    is_error
        Whether the words are `-dC/dr` themselves, of a loss of the host's own.
    """

    words: Raw
    is_error: bool = False


@dataclass(frozen=True)
class LearningNetwork:
    """Layers that run and learn.

    Parameters
    ----------
    network
        The layers.
    learning
        Of each layer.
    loss
        ``squared_error`` or ``cross_entropy``.
    """

    network: NetworkSpec
    learning: tuple[LearningSpec, ...]
    loss: str

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if len(self.learning) != len(self.network.layers):
            raise ValueError("learning must be of every layer")
        for layer, learning in zip(self.network.layers, self.learning, strict=True):
            learning.check(layer)

    @property
    def error_bits(self) -> int:
        """Bits below the point of a target."""
        if self.loss == "cross_entropy":
            return top.PROBABILITY_BITS
        return self.network.layers[-1].rate_format.f_bits

    def reset(self) -> LearnState:
        """State at power-up."""
        pairs = zip(self.network.layers, self.learning, strict=True)
        return LearnState(self.network.reset(), tuple(begin(*pair) for pair in pairs))

    def clear(self, state: LearnState) -> LearnState:
        """State after a reset that keeps what was learned."""
        layers = zip(self.network.layers, self.learning, state.learning, strict=True)
        return LearnState(self.network.reset(), tuple(cleared(*layer) for layer in layers))

    def passed(self, state: LearnState, steps: int) -> LearnState:
        """State after so many steps without errors or updates: only the draws go on."""
        learning = []
        for layer in state.learning:
            word = layer.noise
            for _ in range(steps):
                word = noise.advance(word)
            scale = layer.scale._replace(quiet=0) if steps else layer.scale
            learning.append(layer._replace(noise=word, scale=scale))
        return LearnState(state.run, tuple(learning))

    def check(self, state: LearnState) -> None:
        """Refuse a state of another network, and words that no chip of this one holds.

        Raises
        ------
        ValueError
            Where kinds or shapes of words differ, or words do not fit.
        """
        checks.check(self, state)

    def step(
        self,
        state: LearnState,
        x: Raw,
        target: Target | None = None,
        *,
        start: bool = False,
        learn: bool = True,
    ) -> tuple[LearnState, tuple[Stepped, ...]]:
        """One step of every layer; as `NetworkSpec.step`, with errors and updates.

        Parameters
        ----------
        state
            After the step before.
        x
            Raw input frame, shape `(inputs,)`.
        target
            Compared with the rates of the step before.
        start
            Whether the frame begins a sequence.
        learn
            Whether this step updates.
        """
        after, results = [], []
        runs = state.run.layers
        for index, (layer, run) in enumerate(zip(self.network.layers, runs, strict=True)):
            below = runs[index - 1] if index else LayerState(x[None], x[None], start)
            held = (run.waiting or (state.run.fresh and start)) and not below.start
            keep = int(not below.start)
            own = [run.r[0] * keep] if layer.recurrent else []
            got = step_layer(
                Job(layer, self.learning[index], state.learning[index]),
                np.concatenate([below.r[0], *own]),
                run.u[0] * keep,
                self._above(state, index, target),
                Flags(below.start, held, learn),
            )
            results.append(got)
            after.append(LayerState(got.u[None], got.r[None], below.start and not held, held))
        learned = tuple(got.state for got in results)
        return LearnState(NetworkState(tuple(after), fresh=False), learned), tuple(results)

    def _above(self, state: LearnState, index: int, target: Target | None) -> list[Above]:
        """Return what layer `index` hears: sums of the layer above, or the target."""
        if index + 1 < len(self.learning):
            points = Points.of(self.network.layers[index + 1], self.learning[index + 1])
            sender = state.learning[index + 1]
            return [Above(sender.down, sender.exponent + points.sums)]
        if target is None:
            return []
        r = state.run.layers[-1].r[0]
        f_bits = self.network.layers[-1].rate_format.f_bits
        words = target.words if target.is_error else top.descent(self.loss, r, f_bits, target.words)
        return [Above(words, -self.error_bits)]


@dataclass(frozen=True)
class LearnState:
    """State of a network that learns."""

    run: NetworkState
    learning: tuple[LearningState, ...]
