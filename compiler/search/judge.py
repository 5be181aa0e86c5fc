"""How far a choice of formats is from the float network, on the calibration data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vle.compiler import fast
from vle.compiler.fixed import Raw
from vle.compiler.network import NetworkSpec
from vle.compiler.quantization.calibration import Calibration
from vle.compiler.quantization.choice import Choice
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.given import Given
from vle.compiler.quantization.quantize import Memo, Quantized, quantize
from vle.compiler.run import Session, run_raw
from vle.errors import CompileError
from vle.sim import Network

Float = NDArray[np.float64]
FRAMES = 1 << 15  # of the calibration data that errors are judged on


@dataclass(frozen=True)
class Judge:
    """Quantises a network in many ways and compares each with the float network.

    Parameters
    ----------
    network
        The float network.
    known
        Of its signals.
    widths
        Of all words but the weights, and headroom.
    given
        Grids that the model brings.
    x, real
        Signals `(T, batch, inputs)` and what the float network makes of them.
    labelled
        Signals with labels, `(batch,)` or `(T, batch)`; None where there are none.
    """

    network: Network
    known: Calibration = field(repr=False)
    widths: Widths
    given: Given = field(repr=False)
    x: Float = field(repr=False)
    real: Float = field(repr=False)
    labelled: tuple[Float, Raw] | None = field(default=None, repr=False)
    _memo: Memo = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        network: Network,
        known: Calibration,
        widths: Widths,
        given: Given | None = None,
        labelled: tuple[Float, Raw] | None = None,
    ) -> Judge:
        """Run the float network on what choices will be judged by."""
        most = max(1, FRAMES // len(known.x))
        chosen = np.unique(np.linspace(0, known.x.shape[1] - 1, most).astype(int))
        x = known.x[:, chosen]
        return cls(network, known, widths, given or Given(), x, network.run(x), labelled)

    @property
    def layers(self) -> int:
        """Layers of the network."""
        return len(self.network.layers)

    def quantized(self, choice: Choice) -> Quantized:
        """Return the integers of a choice.

        Raises
        ------
        CompileError
            Where they cannot be had.
        """
        known, memo = self.known, self._memo
        return quantize(
            self.network,
            known.ranges,
            self.widths,
            known.moments,
            given=self.given,
            choice=choice,
            memo=memo,
        )

    def error(self, choice: Choice) -> float:
        """Rms of what differs, as a part of the outputs' rms; infinite where it cannot be had."""
        try:
            spec = self.quantized(choice).network
        except CompileError:
            return float("inf")
        off = outputs(spec, self.x, aligned=self.network.aligned) - self.real
        power = np.mean(self.real**2) or 1.0
        return float(np.sqrt(np.mean(off**2) / power))

    def accuracy(self, choice: Choice) -> float:
        """Part of the labels that the largest output hits; 0 where the choice cannot be had."""
        assert self.labelled is not None
        try:
            spec = self.quantized(choice).network
        except CompileError:
            return 0.0
        x, labels = self.labelled
        return hits(outputs(spec, x, aligned=self.network.aligned), labels)

    def float_accuracy(self) -> float:
        """Return what the float network hits."""
        assert self.labelled is not None
        x, labels = self.labelled
        return hits(self.network.run(x), labels)


def hits(output: Float, labels: Raw) -> float:
    """Part of the labels, those below 0 left out, that are the largest output.

    Parameters
    ----------
    output
        `(T, batch, outputs)`.
    labels
        `(batch,)`, of outputs summed over the sequence, or `(T, batch)`.
    """
    found = (output.sum(axis=0) if labels.ndim == 1 else output).argmax(axis=-1)
    return float(np.mean((found == labels)[labels >= 0]))


def outputs(spec: NetworkSpec, x: Float, *, aligned: bool) -> Float:
    """Run the integer model from reset, in C++ where there is a compiler; as `Design.run`."""
    layers = spec.layers
    words, late = layers[0].x_format.quantize(x), (len(layers) - 1) * aligned
    frames = np.concatenate([words, np.zeros((late, *words.shape[1:]), np.int64)])
    begins = np.zeros(len(frames), np.bool_)
    begins[:1] = aligned
    try:
        raw = fast.infer(spec, spec.reset(x.shape[1]), frames, start=begins).output[late:]
    except fast.CompilerError:
        raw = run_raw(spec, Session(), words, aligned=aligned).output
    return np.asarray(layers[-1].rate_format.real(raw))
