"""Learning while running: signals in, one local update per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.sim import dynamics
from vle.sim.dynamics import LayerParameters, LayerState, Settings, Signals
from vle.sim.gradients import local

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """Rates of plain gradient descent; `vle.sim.Network.learn` says what each is."""

    weight: float = 0.01
    tau: float = 0.0
    backward: float | None = None
    decay: float = 0.0
    tau_max: float | None = None

    def __post_init__(self) -> None:
        for name in ("weight", "tau", "backward", "decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < np.inf:
                raise ValueError(f"rate of {name} must be 0 or more, and finite, not {value!r}")
        if self.tau_max is not None and not self.tau_max > 0:
            raise ValueError(f"tau_max must be positive, not {self.tau_max!r}")


class Learned(NamedTuple):
    """What learning leaves, and the rates of the top layer at the end of each frame."""

    parameters: tuple[LayerParameters, ...]
    states: tuple[LayerState, ...]
    traces: list[local.Trace] | None
    out: Floats


def targets(
    loss: str, y: ArrayLike, shape: tuple[int, ...], outputs: int
) -> NDArray[np.float64] | NDArray[np.int64]:
    """Check targets for signals of `shape`, ``(T, [batch])``; `y` as `Network.learn` takes it."""
    array = np.asarray(y)
    if loss == "cross_entropy" and array.dtype.kind in "iu" and array.shape == shape:
        if array.size and not -1 <= array.min() <= array.max() < outputs:
            raise ValueError(
                f"classes must be -1 or 0 to {outputs - 1}, not {array.min()} to {array.max()}"
            )
        return array.astype(np.int64)
    if array.shape != (*shape, outputs):
        classes = f" or integers of shape {shape!r}" if loss == "cross_entropy" else ""
        raise ValueError(
            f"y must be of shape {(*shape, outputs)!r}{classes}, not {array.shape!r} {array.dtype}"
        )
    values = array.astype(np.float64)
    if np.any(np.isinf(values)):
        raise ValueError("y must be finite, or NaN where absent, not infinite")
    return values


def delay(x: Floats, y: NDArray[Any], steps: int) -> tuple[Floats, NDArray[Any]]:
    """Let each target wait `steps` steps for the answer to its frame; frames of zeros follow."""
    absent = -1 if y.dtype.kind == "i" else np.nan
    waiting = np.full_like(y, absent, shape=(steps, *y.shape[1:]))
    return np.concatenate([x, np.zeros((steps, *x.shape[1:]))]), np.concatenate([waiting, y])


def learn(
    parameters: Sequence[LayerParameters],
    states: Sequence[LayerState],
    settings: Settings,
    data: tuple[Floats, NDArray[Any]],
    rates: Rates,
    *,
    rule: str,
    hold: int = 1,
    start: bool = False,
    traces: list[local.Trace] | None = None,
) -> Learned:
    """Run signals through a network that learns; see `vle.sim.Network.learn`."""
    x, y = data
    batch = x.shape[1:-1]
    each = rates.tau > 0 or _each_alone(parameters, traces)
    rule_of = _Rule(parameters, batch, settings.dt, rule, each=each)
    rule_of.resume(traces)
    out = np.empty((*x.shape[:-1], len(parameters[-1].bias)))
    none = np.zeros(batch, dtype=np.bool_)
    learned, state = tuple(parameters), tuple(states)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(len(x) * hold):
            flag = ~none if start and t == 0 else none
            frame = t // hold
            state, signals = dynamics.step(learned, state, x[frame], y[frame], settings, start=flag)
            gradients = rule_of(learned, signals)
            if t % hold == hold - 1:
                pairs = zip(learned, gradients, strict=True)
                learned = tuple(descend(p, g, rates, settings.dt, none.size) for p, g in pairs)
                out[frame] = state[-1].r
    if not all(np.all(np.isfinite(a)) for p in learned for a in p if a is not None):
        raise ValueError(f"rate must let the parameters stay finite, not {rates.weight!r}")
    return Learned(learned, state, rule_of.traces, out)


def _each_alone(
    parameters: Sequence[LayerParameters], traces: Sequence[local.Trace] | None
) -> bool:
    """Whether the traces to go on with are one per neuron, as learning time constants needs."""
    if traces is None:
        return False
    pairs = zip(parameters, traces, strict=True)
    return all(trace.low.shape[-2] == len(p.bias) for p, trace in pairs)


class _Rule:
    """A rule of plasticity with the traces that it keeps."""

    def __init__(
        self,
        parameters: Sequence[LayerParameters],
        batch: tuple[int, ...],
        dt: float,
        rule: str,
        *,
        each: bool,
    ) -> None:
        self.dt = dt
        self.traces: list[local.Trace] | None = None
        if rule in local.FILTERED:
            self.groups = [local.group(p, each=each) for p in parameters]
            pairs = zip(parameters, self.groups, strict=True)
            self.traces = [local.reset_trace(p, groups, batch) for p, groups in pairs]

    def resume(self, traces: list[local.Trace] | None) -> None:
        """Go on from the traces of an earlier run, where they are of the same form."""
        if traces is None or self.traces is None:
            return
        pairs = zip(traces, self.traces, strict=True)
        if all(old.low.shape == new.low.shape for old, new in pairs):
            self.traces = traces

    def __call__(
        self, parameters: Sequence[LayerParameters], signals: Sequence[Signals]
    ) -> list[LayerParameters]:
        if self.traces is None:
            pairs = zip(parameters, signals, strict=True)
            return [local.prospective(p, s) for p, s in pairs]
        layers = zip(parameters, signals, self.traces, self.groups, strict=True)
        results = [local.filtered(p, s, trace, groups, self.dt) for p, s, trace, groups in layers]
        self.traces = [trace for _, trace in results]
        return [gradient for gradient, _ in results]


def descend(
    p: LayerParameters, g: LayerParameters, rates: Rates, dt: float, batch: int
) -> LayerParameters:
    """Take one step down a gradient that was summed over `batch` sequences.

    A backward matrix that has the update of the weights, transposed, and the same decay, comes to
    their transpose by itself; time constants learn as logarithms, within ``dt`` and ``tau_max``.

    References
    ----------
    Kolen and Pollack 1994, "Backpropagation without weight transport".
    """

    def down(value: Any, gradient: Any, rate: float, decay: float = 0.0) -> Any:
        return None if value is None else value - rate * (gradient / batch + decay * value)

    def slower(tau: Any, gradient: Any) -> Any:
        if not rates.tau:
            return tau
        return np.clip(tau * np.exp(-rates.tau * tau * gradient / batch), dt, rates.tau_max)

    backward = rates.weight if rates.backward is None else rates.backward
    return LayerParameters(
        down(p.weight, g.weight, rates.weight, rates.decay),
        down(p.bias, g.bias, rates.weight),
        slower(p.tau_m, g.tau_m),
        slower(p.tau_r, g.tau_r),
        down(p.recurrent, g.recurrent, rates.weight, rates.decay),
        down(p.backward, g.backward, backward, rates.decay),
    )
