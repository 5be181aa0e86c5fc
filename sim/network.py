"""A network as a user meets it, and what it can do in NumPy float64."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.sim import dynamics, learning, losses
from vle.sim.dynamics import LayerParameters, Settings
from vle.sim.gradients.local import Trace
from vle.sim.layer import Layer
from vle.sim.learning import Rates

Floats = NDArray[np.float64]
__all__ = ["Layer", "Network"]

PLASTICITIES = ("prospective", "filtered")


@dataclass(eq=False)
class Network:
    """A chain of layers that run, and learn, in steps of ``dt``.

    Parameters
    ----------
    layers
        From the bottom.
    dt
        Length of a step in seconds, at most the smallest time constant.
    loss
        ``squared_error``, or ``cross_entropy`` on linear outputs.
    gamma
        How strongly errors drive the potentials.
    beta
        How strongly the target drives the errors.
    plasticity
        ``prospective`` (GLE, ``e x^T``) or ``filtered`` (``inst_e xbar^T``); see
        `vle.sim.gradients.local`.
    error_recurrence
        Whether errors also pass through the recurrent weights.
    aligned
        Whether `run` answers frame ``t`` in output ``t`` unless told otherwise.

    Raises
    ------
    ValueError
        For layers that do not fit each other, and settings out of range.
    """

    layers: tuple[Layer, ...]
    dt: float
    loss: str = "squared_error"
    gamma: float = 0.0
    beta: float = 1.0
    plasticity: str = "prospective"
    error_recurrence: bool = True
    aligned: bool = False
    _state: tuple[dynamics.LayerState, ...] | None = field(default=None, init=False, repr=False)
    _traces: list[Trace] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.layers = tuple(self.layers)
        if not self.layers:
            raise ValueError("layers must be at least one, not ()")
        for index, (low, high) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if low.outputs != high.inputs:
                raise ValueError(
                    f"inputs of layer {index + 1} must be the {low.outputs} neurons below it, "
                    f"not {high.inputs}"
                )
        for name in ("dt", "gamma", "beta"):
            setattr(self, name, float(getattr(self, name)))
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, not {getattr(self, name)!r}")
        smallest = min(min(layer.tau_m.min(), layer.tau_r.min()) for layer in self.layers)
        if not 0 < self.dt <= smallest:
            raise ValueError(
                f"dt must be positive and at most the smallest time constant {smallest}, "
                f"not {self.dt!r}"
            )
        for name, allowed in (("loss", losses.NAMES), ("plasticity", PLASTICITIES)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )

    @property
    def inputs(self) -> int:
        """Width of an input frame."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Width of an output frame."""
        return self.layers[-1].outputs

    @property
    def latency_steps(self) -> int:
        """Steps from an input frame to the output frame that answers it."""
        return len(self.layers) - 1

    @property
    def parameters(self) -> tuple[LayerParameters, ...]:
        """The arrays of each layer, as `vle.sim.dynamics` takes them."""
        return tuple(layer.parameters for layer in self.layers)

    @property
    def settings(self) -> Settings:
        """What `vle.sim.dynamics` needs beside the parameters."""
        activations = tuple(layer.activation for layer in self.layers)
        return Settings(
            activations, self.dt, self.loss, self.gamma, self.beta, self.error_recurrence
        )

    def with_parameters(self, parameters: Any) -> Network:
        """Return this network with the arrays of each layer replaced."""
        layers = tuple(
            Layer(p.weight, p.bias, p.tau_m, p.tau_r, layer.activation, p.recurrent, p.backward)
            for layer, p in zip(self.layers, parameters, strict=True)
        )
        return replace(self, layers=layers)

    def run(self, x: ArrayLike, *, aligned: bool | None = None, reset: bool = True) -> Floats:
        """Run the network on a signal, without learning.

        Parameters
        ----------
        x
            ``(T, inputs)`` or ``(T, batch, inputs)``.
        aligned
            Start a sequence with the first frame, run ``latency_steps`` frames of zeros more and
            leave out as many outputs, so that output ``t`` answers frame ``t``. None: as the
            network says.
        reset
            Put all state to 0 first; False continues where `run` or `learn` stopped.

        Returns
        -------
        ``(T, outputs)`` or ``(T, batch, outputs)``.

        Raises
        ------
        ValueError
            For a signal of the wrong shape or with numbers that are not finite.
        """
        x = self._frames(x)
        aligned = self.aligned if aligned is None else aligned
        extra = self.latency_steps if aligned else 0
        if not reset and self._traces is not None:
            return self._run_with_traces(x, aligned, extra)
        state = self._begin(x, aligned, reset, errors=False)
        parameters, settings = self.parameters, self.settings
        out = np.empty((len(x) + extra, *x.shape[1:-1], self.outputs))
        none = np.zeros(x.shape[1:-1], dtype=np.bool_)
        rest = np.zeros(x.shape[1:])
        for t in range(len(out)):
            frame = x[t] if t < len(x) else rest
            start = ~none if aligned and t == 0 else none
            state, _ = dynamics.step(parameters, state, frame, None, settings, start=start)
            out[t] = state[-1].r
        self._state, self._traces = state, None
        return out[extra:]

    def _run_with_traces(self, x: Floats, aligned: bool, extra: int) -> Floats:
        """Go on after `learn` by the filtered rule, whose traces go on as well: rates of 0."""
        frames = np.concatenate([x, np.zeros((extra, *x.shape[1:]))])
        absent = np.full((*frames.shape[:-1], self.outputs), np.nan)
        state = self._begin(x, aligned, reset=False, errors=True)
        still = learning.learn(
            self.parameters,
            state,
            self.settings,
            (frames, absent),
            learning.Rates(0.0),
            rule=self.plasticity,
            start=aligned,
            traces=self._traces,
        )
        self._state, self._traces = still.states, still.traces
        return still.out[extra:]

    def learn(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        rate: float = 0.01,
        tau_rate: float = 0.0,
        backward_rate: float | None = None,
        decay: float = 0.0,
        tau_max: float | None = None,
        hold: int | None = None,
        aligned: bool | None = None,
        reset: bool = True,
    ) -> Floats:
        """Learn while running: one update per step by ``plasticity``, averaged over the batch.

        Parameters
        ----------
        x
            ``(T, inputs)`` or ``(T, batch, inputs)``.
        y
            Values or probabilities ``(T, [batch,] outputs)``, a frame with a NaN has no target; for
            cross-entropy also classes ``(T, [batch])`` as integers, -1 for no target. Step ``t``
            compares ``y[t]`` with the rate of the step before.
        rate
            Of learning, for weights and biases.
        tau_rate
            Of learning, for the logarithms of the time constants.
        backward_rate
            Of learning, for backward matrices where layers have them; None: as ``rate``.
        decay
            Of forward, recurrent and backward weights, per step and unit of ``rate``.
        tau_max
            Upper limit of time constants that learn; the lower one is ``dt``.
        hold
            Steps for which each frame and its target are repeated, with one update in the last;
            then output ``t`` is that of the last. None: ``2 L`` where all ``L`` layers are
            instantaneous and feedforward, which is backpropagation; else 1.
        aligned
            As in `run`; targets wait as long as answers do. None: as the network says. Frames that
            are held need it not, and have it not.
        reset
            Put all state to 0 first; False continues where `run` or `learn` stopped.

        Returns
        -------
        Rates while learning, ``(T, outputs)`` or ``(T, batch, outputs)``.

        Raises
        ------
        ValueError
            For arrays of the wrong shape, signals that are not finite, settings out of range, and
            rates so large that the parameters do not stay finite; the network is then as it was.
        """
        rates = Rates(rate, tau_rate, backward_rate, decay, tau_max)
        frames = self._frames(x)
        targets = learning.targets(self.loss, y, frames.shape[:-1], self.outputs)
        hold = self._hold() if hold is None else hold
        if hold < 1:
            raise ValueError(f"hold must be at least 1, not {hold!r}")
        aligned = (self.aligned if aligned is None else aligned) and hold == 1
        if aligned:
            frames, targets = learning.delay(frames, targets, len(self.layers))
        state = self._begin(frames, aligned, reset, errors=True)
        learned = learning.learn(
            self.parameters,
            state,
            self.settings,
            (frames, targets),
            rates,
            rule=self.plasticity,
            hold=hold,
            start=aligned,
            traces=None if reset else self._traces,
        )
        self.layers = self.with_parameters(learned.parameters).layers
        self._state, self._traces = learned.states, learned.traces
        return learned.out[len(self.layers) - 1 : -1] if aligned else learned.out

    def _hold(self) -> int:
        static = all(
            layer.recurrent is None and np.array_equal(layer.tau_m, layer.tau_r)
            for layer in self.layers
        )
        return 2 * len(self.layers) if static else 1

    def save(self, path: str | Path) -> None:
        """Write the network as an ONNX model."""
        from vle.sim import onnx_format  # noqa: PLC0415 - onnx is needed for nothing else

        onnx_format.save(self, path)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network that `save` wrote; `vle.compiler.frontend` reads files of other tools."""
        from vle.sim import onnx_format  # noqa: PLC0415

        network: Network = onnx_format.load(path)
        return network

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        names = [f.name for f in fields(self) if f.init]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def _frames(self, x: ArrayLike) -> Floats:
        frames = np.asarray(x, dtype=np.float64)
        if frames.ndim not in (2, 3) or frames.shape[-1] != self.inputs:
            raise ValueError(
                f"x must be of shape (T, {self.inputs}) or (T, batch, {self.inputs}), "
                f"not {frames.shape!r}"
            )
        if not np.all(np.isfinite(frames)):
            raise ValueError("x must be finite, not NaN or infinite")
        return frames

    def _begin(
        self, x: Floats, aligned: bool, reset: bool, *, errors: bool
    ) -> tuple[dynamics.LayerState, ...]:
        """Return the state to go on from, with what the coming steps need in it."""
        batch = x.shape[1:-1]
        new = dynamics.reset(self.parameters, batch, errors=errors, held=True if aligned else None)
        if reset or self._state is None:
            return new
        if self._state[0].u.shape[:-1] != batch:
            raise ValueError(
                f"a batch that continues must be of shape {self._state[0].u.shape[:-1]!r}, "
                f"not {batch!r}"
            )
        return tuple(_merge(old, fresh) for old, fresh in zip(self._state, new, strict=True))


def _merge(old: dynamics.LayerState, new: dynamics.LayerState) -> dynamics.LayerState:
    """Keep all of a running state, and add what it lacks: errors at 0, flags that are off."""
    pairs = zip(old, new, strict=True)
    merged = dynamics.LayerState(*(b if a is None else a for a, b in pairs))
    return merged if old.held is not None or new.held is None else merged._replace(held=new.flag)
