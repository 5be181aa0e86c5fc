"""What values occur in a float network: observed on data, or derived from a range of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.compiler.quantization.approximate import reach
from vle.sim import Layer, Network, dynamics

Float = NDArray[np.float64]

ROUNDS, MARGIN, LARGEST = 200, 1.02, 2.0**40  # of the search for a recurrent layer's interval
PICTURE_EVERY = 8  # steps, for what only pictures need


class Range(NamedTuple):
    """Smallest and largest value per neuron or channel, each of shape `(n,)`."""

    low: Float
    high: Float

    @property
    def magnitude(self) -> float:
        """Largest magnitude of all."""
        return float(max(-self.low.min(), self.high.max(), 0.0))

    def join(self, other: Range) -> Range:
        """Range that holds both."""
        return Range(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


@dataclass(frozen=True)
class LayerRanges:
    """Ranges of one layer.

    Parameters
    ----------
    x, r
        Inputs from below, shape `(inputs,)`, and rates.
    current, u, prosp
        Of `W x + b`, of the potential, of the prospective potential, shape `(outputs,)`.
    """

    x: Range
    current: Range
    u: Range
    prosp: Range
    r: Range

    def join(self, other: LayerRanges) -> LayerRanges:
        """Ranges that hold both."""
        names = ("x", "current", "u", "prosp", "r")
        return LayerRanges(*(getattr(self, name).join(getattr(other, name)) for name in names))


class Signals(NamedTuple):
    """All signals of one layer in one step, each of shape `(batch, n)`."""

    x: Float
    own: Float  # rates of the step before
    current: Float
    u: Float
    prosp: Float
    r: Float


def signals(network: Network, x: Float) -> Iterator[tuple[Signals, ...]]:
    """Step the float network over `x` of shape `(T, batch, inputs)`, from reset.

    Sequences of an `aligned` network carry their start flags; layers that wait for it are left out
    of what is observed by being shown at 0.
    """
    parameters = [_parameters(layer) for layer in network.layers]
    settings = dynamics.Settings(tuple(layer.activation for layer in network.layers), network.dt)
    batch = (x.shape[1],)
    held = True if network.aligned else None
    states = dynamics.reset(parameters, batch, errors=False, held=held)
    for t, frame in enumerate(x):
        start = np.full(batch, t == 0) if network.aligned else None
        before = states
        states, seen = dynamics.step(parameters, states, frame, None, settings, start=start)
        yield tuple(
            _signals(layer, old, new, got)
            for layer, old, new, got in zip(network.layers, before, states, seen, strict=True)
        )


def _parameters(layer: Layer) -> dynamics.LayerParameters:
    return dynamics.LayerParameters(
        layer.weight, layer.bias, layer.tau_m, layer.tau_r, layer.recurrent, None
    )


def _signals(
    layer: Layer, old: dynamics.LayerState, new: dynamics.LayerState, got: dynamics.Signals
) -> Signals:
    # A layer that a flag restarts steps from 0 and one that waits stays there.
    restart = np.zeros(old.u.shape[0], bool) if got.restart is None else got.restart
    active = np.ones_like(restart) if new.held is None else ~new.held
    u = np.where(restart[:, None], 0.0, old.u)
    d = np.where(active[:, None], got.d, 0.0)
    own = np.where(restart[:, None], 0.0, old.r)
    return Signals(got.x, own, u + d, new.u, u + (layer.tau_r / layer.tau_m) * d, new.r)


@dataclass(frozen=True)
class Observation:
    """What a run of the float network showed.

    Parameters
    ----------
    ranges
        Of each layer.
    heard
        Inputs of each layer, own rates appended where recurrent, `(T, batch, columns)`.
    exponents
        Per layer, how many values of `prosp` and of `r` have which binary exponent, for pictures.
    """

    ranges: tuple[LayerRanges, ...]
    heard: tuple[Float, ...]
    exponents: tuple[dict[str, dict[int, int]], ...]


def observe(network: Network, x: Float) -> Observation:
    """Run the float network over `x` of shape `(T, batch, inputs)` and look at everything."""
    ranges: tuple[LayerRanges, ...] | None = None
    heard: list[list[Float]] = [[] for _ in network.layers]
    exponents: list[dict[str, dict[int, int]]] = [{"prosp": {}, "rate": {}} for _ in heard]
    for t, step in enumerate(signals(network, x)):
        seen = tuple(
            LayerRanges(*(_over_batch(a) for a in (s.x, s.current, s.u, s.prosp, s.r)))
            for s in step
        )
        ranges = seen if ranges is None else tuple(map(LayerRanges.join, ranges, seen))
        for layer, kept, found, s in zip(network.layers, heard, exponents, step, strict=True):
            loop = layer.recurrent is not None
            kept.append(np.concatenate([s.x, s.own], axis=-1) if loop else s.x)
            if t % PICTURE_EVERY == 0:
                count_exponents(s.prosp, found["prosp"])
                count_exponents(s.r, found["rate"])
    assert ranges is not None
    return Observation(ranges, tuple(map(np.stack, heard)), tuple(exponents))


def count_exponents(values: Float, into: dict[int, int]) -> None:
    """Count values by the power of two below them; powers belong to the one below, zeros to none.

    So a rate of exactly 1, which its format ends a step below, counts as held.
    """
    found = np.frexp(values[values != 0] * (1 - 2.0**-16))[1] - 1
    for exponent, count in zip(*np.unique(found, return_counts=True), strict=True):
        into[int(exponent)] = into.get(int(exponent), 0) + int(count)


def _over_batch(values: Float) -> Range:
    return Range(values.min(axis=0), values.max(axis=0))


def bound(network: Network, inputs: Range) -> tuple[LayerRanges, ...] | None:
    """Ranges that no input within `inputs` can leave, by interval arithmetic.

    With `alpha <= 1` a potential stays between 0 and the extremes of its current, and
    `prosp = (1 - rho) u + rho current`. After a reset all rates are 0, so 0 belongs to what the
    upper layers hear; where frames of zeros flush a sequence, to the inputs as well.

    Returns
    -------
    None where a recurrent layer's interval keeps growing: then only data can tell its range.
    """
    below, result = _with_zero(inputs) if network.aligned else inputs, []
    for layer in network.layers:
        ranges = _bound_layer(layer, below)
        if ranges is None:
            return None
        result.append(ranges)
        below = _with_zero(ranges.r)
    return tuple(result)


def _bound_layer(layer: Layer, x: Range) -> LayerRanges | None:
    """Bound one layer; a recurrent one by an interval of rates that it maps into itself.

    That interval is grown from 0, and tried with some margin, since growth alone only creeps up.
    """
    zero = np.zeros(layer.outputs)
    own = Range(zero, zero)
    for _ in range(ROUNDS):
        tried = Range(own.low * MARGIN, own.high * MARGIN)
        ranges = _mapped(layer, x, tried)
        inside = (ranges.r.low >= tried.low).all() and (ranges.r.high <= tried.high).all()
        if layer.recurrent is None or inside:
            return ranges
        own = own.join(ranges.r)
        if own.magnitude > LARGEST:
            return None
    return None


def _mapped(layer: Layer, x: Range, own: Range) -> LayerRanges:
    """Ranges of a layer that hears `x` and its own rates."""
    current = _product(layer.weight, x)
    if layer.recurrent is not None:
        loop = _product(layer.recurrent, own)
        current = Range(current.low + loop.low, current.high + loop.high)
    current = Range(current.low + layer.bias, current.high + layer.bias)
    u = _with_zero(current)
    rho = layer.tau_r / layer.tau_m
    rest, ahead = _scaled(1 - rho, u), _scaled(rho, current)
    prosp = Range(rest.low + ahead.low, rest.high + ahead.high)
    low, high = np.array([reach(layer.activation, *pair) for pair in zip(*prosp, strict=True)]).T
    return LayerRanges(x, current, u, prosp, Range(low, high))


def _with_zero(x: Range) -> Range:
    return Range(np.minimum(x.low, 0.0), np.maximum(x.high, 0.0))


def _product(weight: Float, x: Range) -> Range:
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return Range(
        positive @ x.low + negative @ x.high,
        positive @ x.high + negative @ x.low,
    )


def _scaled(factor: Float, x: Range) -> Range:
    ends = np.stack([factor * x.low, factor * x.high])
    return Range(ends.min(axis=0), ends.max(axis=0))
