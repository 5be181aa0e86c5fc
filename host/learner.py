"""How a device learns, and what can be watched of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.host import lessons, rates, running
from vle.host.checks import array, finite, integers
from vle.host.chip import Chip
from vle.host.counting import Counting
from vle.host.probing import Probe, Probed, Probing
from vle.host.rates import Rates
from vle.host.shapes import NetworkLearning
from vle.host.snapshot import Snapshot
from vle.host.source import Source

CLAMPED = ("error", "signal", "weight", "bias", "trace")  # as their registers are called


class Learner(Counting):
    """The part of a device that only a chip that learns has.

    Parameters
    ----------
    chip
        The chip.
    """

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip)
        self._probing = Probing(chip)
        self._source = Source(chip.transport)
        self._last: Snapshot | None = None

    def learn(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        rate: Rates = None,
        tau_rate: Rates = None,
        layers: Sequence[int] | None = None,
        hold: int | None = None,
        freeze: ArrayLike | None = None,
        errors: bool = False,
        aligned: bool | None = None,
        reset: bool = True,
        watch: bool = True,
    ) -> NDArray[np.float64]:
        """Learn while running: one update per step.

        Parameters
        ----------
        x
            ``(T, inputs)``, one sequence: a chip learns from one after the other.
        y
            Values or probabilities ``(T, outputs)``, a step with a NaN has no target; for
            cross-entropy also classes ``(T,)`` as integers, -1 for no target.
        rate, tau_rate
            As of `set_rate`, from now on; None: as they are.
        layers
            Those that learn in this call; None: all.
        hold
            Steps for which each frame and its target are repeated, with one update in the last;
            then output ``t`` is that of the last. None: ``2 L`` where all ``L`` layers are
            instantaneous and feedforward, which is backpropagation; else 1.
        freeze
            ``(T,)``: steps that update nothing; as targets they wait where answers do.
        errors
            Whether `y` is not a target but ``-dC/dr`` of a loss of your own.
        aligned, reset
            As of `run`; targets wait as long as answers do. A reset keeps what was learned.
        watch
            Stop where learning has run away.

        Returns
        -------
        Rates while learning, ``(T, outputs)``.

        Raises
        ------
        ValueError
            For arrays, rates and settings that do not fit, and on a chip that does not learn; the
            chip is then as it was.
        DivergenceError
            Where learning has run away, see `vle.host.divergence`; `roll_back` takes the chip back.
        DeviceError
            Where the sensor is the source of the frames.
        TransportError
            Where the chip does not answer in time.
        """
        learning, bundle = self._must_learn(), self.chip.bundle
        frames = finite("x", x)
        if frames.ndim != 2:
            raise ValueError("x must be one sequence (T, inputs) where a chip learns")
        raw, clamped = bundle.layers[0].x.quantize(frames)
        words = running.checked(bundle, raw)
        targets = lessons.Targets.of(bundle, learning, y, are_errors=errors)
        if len(targets.words) != len(words):
            raise ValueError(f"y must be of {len(words)} steps as x is, not {len(targets.words)}")
        still = lessons.frozen(freeze, len(words))
        hold = self._hold(hold)
        aligned = (bundle.aligned if aligned is None else aligned) and hold == 1
        chosen = self._chosen(layers)
        registers = rates.words_of(self.chip, rate, tau_rate)
        lesson = lessons.held(lessons.lesson(words, targets, still, begins=aligned), hold)
        late = len(bundle.layers) if aligned else 0
        lesson = lessons.delayed(lesson, late)
        self._source.must_be_host()
        self._write(registers)
        if reset:
            running.reset(self.chip)
        with self._only(chosen):
            got = running.learn(self.chip, lesson, watch=watch)
        self.input_saturation += clamped
        output = bundle.layers[-1].rate.real(got)
        return output[late - 1 : -1] if aligned else output[hold - 1 :: hold]

    def set_rate(self, rate: Rates = None, tau_rate: Rates = None) -> None:
        """Set learning rates, one for all layers or one for each; None leaves them.

        Parameters
        ----------
        rate
            Of weights and biases.
        tau_rate
            Of the logarithms of time constants.

        Raises
        ------
        ValueError
            For a rate that is negative, overflows or is of no layer; none is set then.
        """
        self._must_learn()
        self._write(rates.words_of(self.chip, rate, tau_rate))

    def rates(self) -> NDArray[np.float64]:
        """Learning rates as they are, `(layers, 2)`: of weights and biases, of time constants."""
        scales = self._must_learn().rate_scales
        words = list(rates.current(self.chip).values())
        values = np.array([rates.value_of(word) for word in words]).reshape(2, -1).T
        return np.asarray(values / scales)

    def probe(self, *probes: Probe | tuple[Any, ...]) -> None:
        """Watch words from the next step on, and no others; the run is the same.

        Parameters
        ----------
        probes
            Each a `Probe` or what makes one: ``("u", layer, neuron)``, likewise ``r``, ``v``,
            ``e``; ``("exponent", layer)``; ``("weight", layer, row, column)``.

        Raises
        ------
        ValueError
            For a word that this chip has not, too many, and a chip that does not learn.
        """
        self._must_learn()
        made = [p if isinstance(p, Probe) else _probe(p) for p in probes]
        self._probing.set(tuple(made))

    def probed(self) -> list[Probed]:
        """Return what each probe has seen since the last call, or since it was set."""
        self._must_learn()
        return self._probing.take()

    @property
    def probe_lost(self) -> int:
        """Words of probes that were lost since the counters were cleared."""
        self._must_learn()
        return self.chip.read("PROBE_LOST")

    @property
    def target_errors(self) -> int:
        """Target frames of a wrong length, dropped, since the counters were cleared."""
        self._must_learn()
        return self.chip.read("TARGET_ERRORS")

    def clamped(self) -> NDArray[np.int64]:
        """Words clamped by learning since then, `(layers, 5)`: error, signal, weight, bias, trace.

        Raises
        ------
        ValueError
            Where the chip does not learn.
        """
        self._must_learn()
        return self._counters("CLAMPED", CLAMPED)

    def _must_learn(self) -> NetworkLearning:
        if self.chip.bundle.learning is None:
            raise ValueError("network must be compiled for learning: vle-compile --learning")
        return self.chip.bundle.learning

    def _hold(self, hold: int | None) -> int:
        if hold is None:
            return running.default_hold(self.chip.bundle)
        return int(integers("hold", hold, (1, 1 << 20)))

    def _chosen(self, layers: Sequence[int] | None) -> list[int]:
        count = len(self.chip.bundle.layers)
        if layers is None:
            return list(range(count))
        return list(np.atleast_1d(integers("layers", array("layers", layers), (0, count - 1))))

    def _write(self, registers: dict[str, int]) -> None:
        """Write registers between two steps."""
        if registers:
            self.chip.until_idle()
        for name, word in registers.items():
            self.chip.write(name, word)

    @contextmanager
    def _only(self, layers: Iterable[int]) -> Iterator[None]:
        """Let other layers learn nothing, and have their rates back afterwards."""
        still = set(range(len(self.chip.bundle.layers))) - set(layers)
        names = [f"{kind}[{k}]" for kind in rates.KINDS for k in sorted(still)]
        kept = {name: self.chip.read(name) for name in names}
        self._write(dict.fromkeys(names, 0))
        try:
            yield
        finally:
            self._write(kept)


def _probe(given: tuple[Any, ...]) -> Probe:
    try:
        return Probe(*given)
    except TypeError:
        rule = '("u", layer, neuron) or ("weight", layer, row, column)'
        raise ValueError(f"a probe must be such as {rule}, not {given!r}") from None
