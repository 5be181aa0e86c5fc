"""A compiled network: integers that answer in real units, before and after a chip exists."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, Folding
from vle.compiler.fixed import Fixed, Raw
from vle.compiler.layer import Saturation
from vle.compiler.network import NetworkSpec
from vle.compiler.run import RawRun, Session, run_raw
from vle.sim import Network

if TYPE_CHECKING:
    from vle.compiler.bundle.bitstream import Bitstream

Float = NDArray[np.float64]


class Trace(NamedTuple):
    """Every potential and rate of a run, in real units."""

    output: Float  # (T, [batch,] outputs)
    u: tuple[Float, ...]  # per layer, (steps, [batch,] outputs)
    r: tuple[Float, ...]


@dataclass(frozen=True)
class Design:
    """A network as integers, the plan of its circuit, and the float network that it came from.

    Parameters
    ----------
    reference
        The float network.
    chip
        The integer model and the plan of its engines: all that the circuit depends on.
    report
        What the compiler found and did, as plain JSON.
    """

    reference: Network = field(repr=False)
    chip: ChipSpec = field(repr=False)
    report: dict[str, Any] = field(repr=False, compare=False)
    _session: Session = field(default_factory=Session, init=False, repr=False, compare=False)

    @property
    def network(self) -> NetworkSpec:
        """The integer model."""
        return self.chip.network

    @property
    def folding(self) -> Folding:
        """The engines."""
        return self.chip.folding

    @cached_property
    def cycles_per_step(self) -> Fraction:
        """Clocks per step at full throughput."""
        return Fraction(timing.steady_cycles(self.chip))

    @property
    def input_format(self) -> Fixed:
        """Format of the input words."""
        return self.network.layers[0].x_format

    @property
    def output_format(self) -> Fixed:
        """Format of the output words."""
        return self.network.layers[-1].rate_format

    @property
    def latency_steps(self) -> int:
        """Steps from an input frame to the output frame that answers it."""
        return len(self.network.layers) - 1

    @property
    def saturation(self) -> tuple[Saturation, ...]:
        """Words clamped since the last reset, per layer."""
        return self._session.saturation

    @property
    def input_saturation(self) -> int:
        """Input words clamped since the last reset."""
        return self._session.inputs

    def run(
        self, x: ArrayLike, *, aligned: bool | None = None, reset: bool = True, trace: bool = False
    ) -> Any:
        """Run the integer model on a signal in real units.

        Parameters
        ----------
        x
            ``(T, inputs)`` or ``(T, batch, inputs)``. Values outside the input's format are clamped
            and counted in `input_saturation`.
        aligned
            As of `vle.sim.Network.run`; None: as the network says.
        reset
            Put all state to 0 first; False continues where the last run stopped.
        trace
            Return a `Trace` rather than the outputs alone.

        Returns
        -------
        ``(T, outputs)`` or ``(T, batch, outputs)``; a `Trace` where asked for.

        Raises
        ------
        ValueError
            For a signal of the wrong shape or with numbers that are not finite.
        """
        words, clamped = self._words(x)
        got = self.run_raw(words, aligned=aligned, reset=reset, trace=trace)
        self._session.inputs += clamped
        output = self.output_format.real(got.output)
        if not trace:
            return output
        layers = self.network.layers
        u = tuple(s.u_format.real(a) for s, a in zip(layers, got.u, strict=True))
        r = tuple(s.rate_format.real(a) for s, a in zip(layers, got.r, strict=True))
        return Trace(output, u, r)

    def run_raw(
        self, x: Raw, *, aligned: bool | None = None, reset: bool = True, trace: bool = False
    ) -> RawRun:
        """Run on raw input words; as `run`, but integers in and out.

        Raises
        ------
        ValueError
            For words that the input's format does not hold, and a batch that does not continue.
        """
        words = self._checked(np.asarray(x))
        low, high = self.input_format.low, self.input_format.high
        if words.dtype.kind not in "iu" or (words.size and not low <= words.min()):
            raise ValueError(f"x must be integers in {low}..{high}")
        if words.size and words.max() > high:
            raise ValueError(f"x must be integers in {low}..{high}, not {words.max()}")
        batch = words.shape[1:-1]
        aligned = self.reference.aligned if aligned is None else aligned
        words = words.astype(np.int64).reshape(len(words), math.prod(batch), words.shape[-1])
        got = self._run(words, aligned=aligned, reset=reset, trace=trace, single=not batch)

        def shaped(a: Raw) -> Raw:
            return a.reshape(len(a), *batch, a.shape[-1])

        return RawRun(shaped(got.output), tuple(map(shaped, got.u)), tuple(map(shaped, got.r)))

    def learn(self, x: ArrayLike, y: ArrayLike, **options: Any) -> Float:
        """Refuse: see `vle.compiler.learning.design.LearningDesign.learn`.

        Raises
        ------
        ValueError
            A design that learns is compiled for it.
        """
        raise ValueError("design must be compiled for learning: compile_model(..., learning=True)")

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        verilog: bool = False,
        bitstream: Bitstream | None = None,
    ) -> None:
        """Write a bundle; see `vle.compiler.bundle.files.save`."""
        from vle.compiler.bundle import files as bundle  # noqa: PLC0415 - it imports this module

        bundle.save(self, folder, verilog=verilog, bitstream=bitstream)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Design:
        """Read a bundle; see `vle.compiler.bundle.files.load`."""
        from vle.compiler.bundle import files as bundle  # noqa: PLC0415

        return bundle.load(folder)

    def _words(self, x: ArrayLike) -> tuple[Raw, int]:
        """Input words of a signal in real units, and how many of them are clamped."""
        frames, fmt = self._checked(np.asarray(x, dtype=np.float64)), self.input_format
        low, high = fmt.real(fmt.low) - fmt.step / 2, fmt.real(fmt.high) + fmt.step / 2
        clamped = int(np.count_nonzero((frames < low) | (frames >= high)))
        return fmt.quantize(frames), clamped

    def _run(self, words: Raw, *, aligned: bool, reset: bool, trace: bool, single: bool) -> RawRun:
        """Run words `(T, batch, inputs)`; `single` where the user's had no batch."""
        session = self._begin(words.shape[1], reset)
        return run_raw(self.network, session, words, aligned=aligned, trace=trace)

    def _begin(self, batch: int, reset: bool) -> Session:
        if reset:
            object.__setattr__(self, "_session", Session())
        state = self._session.state
        if state is not None and len(state.layers[0].u) != batch:
            raise ValueError(f"a batch that continues must be of {len(state.layers[0].u)}")
        return self._session

    def _checked(self, x: NDArray[Any]) -> NDArray[Any]:
        inputs = self.network.layers[0].inputs
        if x.ndim not in (2, 3) or x.shape[-1] != inputs:
            raise ValueError(
                f"x must be of shape (T, {inputs}) or (T, batch, {inputs}), not {x.shape!r}"
            )
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError("x must be finite, not NaN or infinite")
        return x
