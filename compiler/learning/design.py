"""A compiled network that learns, in real units."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.design import Design
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.learning.chip_words import Registers, Words, state_of
from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.options import Rates, frozen, held, with_rates
from vle.compiler.learning.run import LearningSession, Steps, learn_raw
from vle.compiler.learning.step import Clamped
from vle.compiler.learning.targets import Targets, real_numbers
from vle.compiler.learning.words import float_network, present
from vle.compiler.run import RawRun, Session, run_raw
from vle.sim import Network

Float = NDArray[np.float64]


@dataclass(frozen=True)
class LearningDesign(Design):
    """A design whose chip learns.

    What was learned stays until `restart`, as on a chip until it is switched off. While it runs,
    errors fade and draws go on, as they do on the chip; nothing else changes.
    """

    _learning: LearningSession = field(
        default_factory=LearningSession, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.chip.learning is None:
            raise ValueError("chip must learn")

    @property
    def learning(self) -> LearningNetwork:
        """The integer model of learning."""
        assert self.chip.learning is not None
        return self.chip.learning

    @property
    def state(self) -> LearnState:
        """All words of the chip as they are now, what it has learned among them."""
        state = self._learning.state
        return self.learning.reset() if state is None else state

    def restore(self, state: LearnState) -> None:
        """Go on from a state of this design, or of another chip of it.

        Raises
        ------
        ValueError
            For a state of another network.
        """
        self.learning.check(state)
        self._learning.state = state

    def restore_words(self, words: Words, registers: Registers) -> None:
        """Go on from where a chip of this design was, by the words and registers of its snapshot.

        Raises
        ------
        ValueError
            For words of another network, and constants that are not those of this one.
        """
        self.restore(state_of(self.learning, words, registers))

    def restart(self) -> None:
        """Forget what was learned and counted: as after power-up."""
        object.__setattr__(self, "_session", Session())
        object.__setattr__(self, "_learning", LearningSession())

    @property
    def learned(self) -> Network:
        """The float network whose words the chip now holds."""
        return float_network(self.reference, self.learning, self.state)

    @property
    def saturation(self) -> tuple[Saturation, ...]:
        """Words clamped since power-up, per layer."""
        return self._learning.saturation or (Saturation(),) * len(self.learning.learning)

    @property
    def input_saturation(self) -> int:
        """Input words clamped since power-up."""
        return self._session.inputs

    @property
    def clamped(self) -> tuple[Clamped, ...]:
        """Words clamped by learning since power-up, per layer."""
        return self._learning.clamped or (Clamped(),) * len(self.learning.learning)

    def learn(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        rate: Rates = None,
        tau_rate: Rates = None,
        hold: int | None = None,
        freeze: ArrayLike | None = None,
        errors: bool = False,
        aligned: bool | None = None,
        reset: bool = True,
        **options: Any,
    ) -> Float:
        """Learn while running, as the chip does: one update per step.

        Parameters
        ----------
        x
            ``(T, inputs)``, one sequence: a chip learns from one after the other.
        y
            Values or probabilities ``(T, outputs)``, a step with a NaN has no target; for
            cross-entropy also classes ``(T,)`` as integers, -1 for no target.
        rate, tau_rate
            Learning rates from now on, one for all layers or one for each: of weights and biases;
            of the logarithms of time constants. None: as they are.
        hold
            As of `vle.sim.Network.learn`.
        freeze
            ``(T,)``: steps that update nothing; as targets they wait where answers do.
        errors
            Whether `y` is not a target but ``-dC/dr`` of a loss of your own.
        aligned, reset
            As of `run`; targets wait as long as answers do. A reset keeps what was learned.

        Returns
        -------
        ``(T, outputs)``.

        Raises
        ------
        ValueError
            For arrays, rates and settings that do not fit; nothing has changed then.
        """
        if options:
            raise ValueError(f"learn must not be given {', '.join(options)}")
        frames = real_numbers("x", x)
        if frames.ndim != 2:
            raise ValueError("x must be one sequence (T, inputs) where a chip learns")
        words, clamped = self._words(frames)
        net = self.learning
        targets = Targets.of(net, y, len(words), are_errors=errors)
        still = None if freeze is None else frozen(freeze, len(words))
        hold = held(hold, self.reference)
        aligned = (self.reference.aligned if aligned is None else aligned) and hold == 1
        rated = with_rates(net, self.state, rate, tau_rate, self.reference.beta)
        late = len(net.learning) if aligned else 0
        steps = Steps.of(words, targets, begins=aligned, freeze=still).held(hold).delayed(late)
        self._learning.state = net.clear(rated) if reset else rated
        got = learn_raw(net, self._learning, steps)
        self._session.inputs += clamped
        output = self.output_format.real(got.output[:, 0])
        return output[late - 1 : -1] if aligned else output[hold - 1 :: hold]

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the network with what it has learned as an ONNX model, its formats with it."""
        from vle.compiler.quantization.recorded import save  # noqa: PLC0415 - needs onnx

        save(self.learned, self.chip, path)

    def _run(self, words: Raw, *, aligned: bool, reset: bool, trace: bool, single: bool) -> RawRun:
        if single:
            return self._run_sequence(words[:, 0], aligned, reset, trace)
        if not reset:
            raise ValueError("x must be one sequence (T, inputs) where it continues another")
        if not words.shape[1]:
            return run_raw(self.network, Session(), words, aligned=aligned, trace=trace)
        first = self._run_beside(words[:, :-1], aligned, trace)
        last = self._run_sequence(words[:, -1], aligned, reset, trace)
        return RawRun(
            np.concatenate([first.output, last.output], axis=1),
            *(
                tuple(np.concatenate(pair, axis=1) for pair in zip(*both, strict=True))
                for both in ((first.u, last.u), (first.r, last.r))
            ),
        )

    def _run_beside(self, words: Raw, aligned: bool, trace: bool) -> RawRun:
        """Run sequences that each begin at reset, all at once: their errors are 0."""
        net, state, session = self.learning, self.state, Session()
        got = run_raw(present(net, state), session, words, aligned=aligned, trace=trace)
        if session.saturation:
            pairs = zip(self.saturation, session.saturation, strict=True)
            self._learning.saturation = tuple(before.plus(more) for before, more in pairs)
        steps = words.shape[1] * (len(words) + (self.latency_steps if aligned else 0))
        self._learning.state = net.passed(state, steps)
        return got

    def _run_sequence(self, words: Raw, aligned: bool, reset: bool, trace: bool) -> RawRun:
        """Run without targets and updates."""
        net, late = self.learning, self.latency_steps if aligned else 0
        none = Targets.none(len(words) + late, net.network.layers[-1].outputs)
        rest = np.zeros((late, words.shape[1]), np.int64)
        freeze = np.ones(len(none.words), np.bool_)
        steps = Steps.of(np.concatenate([words, rest]), none, begins=aligned, freeze=freeze)
        if reset:
            self._learning.state = net.clear(self.state)
        got = learn_raw(net, self._learning, steps, trace=trace)
        return RawRun(got.output[late:], got.u, got.r)
