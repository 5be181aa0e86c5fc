"""What every word of the integer model can be at worst, in exact integers, whatever the frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vle.compiler.activation import ActivationSpec, Table
from vle.compiler.fixed import Raw, round_shift
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec

ROUNDS = 8  # of narrowing the rates that a recurrent layer hears from itself


class Interval(NamedTuple):
    """Lowest and highest word per neuron or channel, each of shape `(n,)`."""

    low: Raw
    high: Raw

    def with_zero(self) -> Interval:
        """Return the interval with 0, which all words are after a reset."""
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))


class WorstCase(NamedTuple):
    """Intervals of one layer, in raw words; `wide` ones before they are clamped."""

    acc: Interval
    wide_current: Interval
    wide_prosp: Interval
    u: Interval
    rate: Interval


def worst_case(
    network: NetworkSpec, inputs: Interval | None = None, *, aligned: bool = False
) -> tuple[WorstCase, ...]:
    """Intervals that no word can leave in any step of any signal within `inputs`.

    Sums are bounded term by term; every narrowing of the chip is monotone, so its ends are those of
    its argument. `u` stays between 0 and its currents, since `alpha <= 1`; `prosp`, monotone in
    `u` and in the current, has its ends in the corners of both. The interval of the first layer's
    sums is attained; above, it is not where the rates of a layer cannot be extreme together.

    Parameters
    ----------
    network
        The integer model.
    inputs
        Raw words of the inputs; None: all that their format holds.
    aligned
        Whether frames of zeros follow each sequence.
    """
    first = network.layers[0]
    if inputs is None:
        ends = np.full(first.inputs, first.x_format.low), np.full(first.inputs, first.x_format.high)
        inputs = Interval(*ends)
    x, found = inputs.with_zero() if aligned else inputs, []
    for layer in network.layers:
        found.append(_layer(layer, x))
        x = found[-1].rate.with_zero()
    return tuple(found)


def _layer(layer: LayerSpec, x: Interval) -> WorstCase:
    if not layer.recurrent:
        return _step(layer, x)
    ends = np.full(layer.outputs, layer.rate_format.low), layer.rate_format.high
    own = Interval(ends[0], np.full(layer.outputs, ends[1]))
    for _ in range(ROUNDS):  # sound from the first, then tighter
        both = Interval(*(np.concatenate(pair) for pair in zip(x, own, strict=True)))
        found = _step(layer, both)
        own = found.rate.with_zero()
    return found


def _step(layer: LayerSpec, x: Interval) -> WorstCase:
    """Intervals of one layer from those of all that it hears."""
    acc = _sums(layer.weight, x)
    wide = Interval(*(_drive(layer, end) for end in acc))
    current = _clamped(layer, wide)
    u = current.with_zero()
    corners: list[Raw] = [
        a + round_shift(layer.rho * (b - a), layer.rho_shift) for a in u for b in current
    ]
    prosp = Interval(np.min(corners, axis=0), np.max(corners, axis=0))
    if (layer.rho == 1 << layer.rho_shift).all():
        prosp = current
    kept = _clamped(layer, prosp)
    return WorstCase(acc, wide, prosp, u, _rates(layer.activation, kept))


def _sums(weight: Raw, x: Interval) -> Interval:
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return Interval(
        np.asarray(positive @ x.low + negative @ x.high, dtype=np.int64),
        np.asarray(positive @ x.high + negative @ x.low, dtype=np.int64),
    )


def _drive(layer: LayerSpec, acc: Raw) -> Raw:
    return np.asarray(round_shift(acc * layer.scale, layer.scale_shift) + layer.bias)


def _clamped(layer: LayerSpec, words: Interval) -> Interval:
    fmt = layer.u_format
    return Interval(*(np.clip(end, fmt.low, fmt.high) for end in words))


def _rates(circuit: ActivationSpec, prosp: Interval) -> Interval:
    """Bound an activation: its ends are at those of its argument, or where a piece ends."""
    knees = _knees(circuit)
    values = circuit.run(knees)[0]
    ends = np.stack([circuit.run(end)[0] for end in prosp])
    low, high = ends.min(axis=0), ends.max(axis=0)
    for neuron, (least, most) in enumerate(zip(*prosp, strict=True)):
        inside = values[(knees >= least) & (knees <= most)]
        if inside.size:
            low[neuron] = min(low[neuron], inside.min())
            high[neuron] = max(high[neuron], inside.max())
    return Interval(low, high)


def _knees(circuit: ActivationSpec) -> Raw:
    """Words on both sides of where one piece ends and the next begins."""
    if not isinstance(circuit, Table):
        return np.array([-1, 0], dtype=np.int64)
    nodes = np.arange(len(circuit.value) + 1, dtype=np.int64) << circuit.shift
    nodes -= circuit.high + 1
    return np.concatenate([nodes - 1, nodes])
