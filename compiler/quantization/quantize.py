"""From the float network to the integer model, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec
from vle.compiler.notes import Note, joined
from vle.compiler.quantization.approximate import Approximation
from vle.compiler.quantization.choice import Choice
from vle.compiler.quantization.formats import (
    Widths,
    coarser,
    finer,
    input_format,
)
from vle.compiler.quantization.given import Given
from vle.compiler.quantization.layer import LayerJob
from vle.compiler.quantization.learning import LearningOptions
from vle.compiler.quantization.moments import Moments
from vle.compiler.quantization.pattern import LayerPattern, Pattern
from vle.compiler.quantization.ranges import LayerRanges
from vle.sim import Network

Float = NDArray[np.float64]
CHANNEL_BITS = 7  # of the input that every channel should use
Made = tuple[LayerSpec, Approximation, list[Note]]
Memo = dict[tuple[object, ...], Made]  # layers by what decides them


@dataclass(frozen=True)
class Quantized:
    """An integer network and what became of the float one.

    Parameters
    ----------
    network
        The integer model.
    approximations
        The circuit of each layer's activation with its error bound.
    notes
        What was clipped, widened or approximated, as `layer: what`.
    """

    network: NetworkSpec
    approximations: tuple[Approximation, ...]
    notes: tuple[str, ...]


class Rules(NamedTuple):
    """What decides formats beside the ranges; as `quantize` takes them."""

    widths: Widths
    like: Pattern | None
    learning: LearningOptions | None
    given: Given
    choice: Choice | None
    memo: Memo

    def widths_of(self, layer: int, layers: int) -> Widths:
        """Bits and headroom of a layer; what learns may grow."""
        widths = self.widths
        if self.choice is not None:
            widths = replace(widths, weight=self.choice.weight[layer])
        if self.learning is None:
            return widths
        return self.learning.headroom(widths, top=layer == layers - 1)

    def finer(self, place: int) -> int:
        """Bits by which inputs (0) or the rates of a layer (1 and on) are finer than held."""
        return self.choice.finer[place] if self.choice and self.choice.finer else 0


def quantize(
    network: Network,
    ranges: tuple[LayerRanges, ...],
    widths: Widths,
    moments: tuple[Moments, ...] | None = None,
    *,
    like: Pattern | None = None,
    learning: LearningOptions | None = None,
    given: Given | None = None,
    choice: Choice | None = None,
    memo: Memo | None = None,
) -> Quantized:
    """Choose formats, round parameters, and list what that changed.

    Parameters
    ----------
    network
        The float network.
    ranges
        Of each layer.
    widths
        Bits of every kind of word, and the headroom.
    moments
        Of what the neurons of each layer hear; None rounds every weight to the nearest.
    like
        Layers of the same sizes whose formats and scales to take over, rather than those of the
        ranges.
    learning
        How the network is to learn: powers of two take the place of scales, and recurrent layers
        hear their input and themselves in one format.
    given
        Grids that the model brings, because it was quantised before.
    choice
        Formats that differ from layer to layer.
    memo
        Layers that calls of the same network, ranges, widths and moments have made so far; more
        are added.

    Raises
    ------
    CompileError
        Where a parameter cannot be held, or would vanish.
    """
    points: dict[int, int] = {}
    memo = {} if memo is None else memo
    rules = Rules(widths, like, learning, given or Given(), choice, memo)
    while True:
        done = _quantized(network, ranges, moments, rules, points)
        unequal = {} if learning is None else _unequal(done.network, points)
        if not unequal:
            return done
        points |= unequal


def _unequal(network: NetworkSpec, points: dict[int, int]) -> dict[int, int]:
    """Most bits below the point of rates (by layer, -1: inputs) that a recurrent layer mixes."""
    found = {}
    for index, spec in enumerate(network.layers):
        below, own = spec.x_format.f_bits, spec.rate_format.f_bits
        if spec.recurrent and below != own:
            found[index - 1 if below > own else index] = min(below, own)
    assert all(point < points.get(index, 99) for index, point in found.items())
    return found


def _quantized(
    network: Network,
    ranges: tuple[LayerRanges, ...],
    moments: tuple[Moments, ...] | None,
    rules: Rules,
    points: dict[int, int],
) -> Quantized:
    """Quantise with at most so many bits below the point of some rates."""
    like = None if rules.like is None else rules.like.layers
    x_format = like[0].x_format if like else input_format(ranges[0].x, rules.widths)
    if rules.given.inputs is not None and not like:
        x_format = rules.given.inputs.format
    elif not like:
        x_format = finer(x_format, rules.finer(0))
    x_format = coarser(x_format, points.get(-1))
    specs, approximations = [], []
    notes: list[tuple[int, Note]] = []
    for index, layer in enumerate(network.layers):
        job = LayerJob(
            f"layer {index}",
            layer,
            network.dt,
            _widths_of(like[index]) if like else rules.widths_of(index, len(network.layers)),
            x_format,
            ranges[index],
            like[index] if like else None,
            rules.learning,
            points.get(index),
            rules.given.of(index),
            rules.finer(index + 1),
        )
        key = (index, job.widths, x_format, job.point, job.finer)
        if key not in rules.memo:
            rules.memo[key] = job.run(None if moments is None else moments[index])
        spec, approximation, said = rules.memo[key]
        specs.append(spec)
        approximations.append(approximation)
        notes += [(index, note) for note in said]
        x_format = spec.rate_format
    return Quantized(
        NetworkSpec(tuple(specs)),
        tuple(approximations),
        _coarse(specs[0], ranges[0]) + joined(notes),
    )


def _coarse(first: LayerSpec, ranges: LayerRanges) -> tuple[str, ...]:
    """Name the channels that are small beside the one that the input's format is for."""
    largest = np.maximum(np.abs(ranges.x.low), np.abs(ranges.x.high))
    bits = np.log2(np.maximum(largest / first.x_format.step, 0.5)) + 1
    coarse = [int(channel) for channel in np.flatnonzero((bits < CHANNEL_BITS) & (largest > 0))]
    if not coarse:
        return ()
    named = ", ".join(map(str, coarse[:8])) + ", ..." * (len(coarse) > 8)
    return (
        f"inputs {named} use less than {CHANNEL_BITS} of {first.x_format.width} bits: one format "
        f"serves all channels, so scale them alike",
    )


def _widths_of(spec: LayerPattern) -> Widths:
    return Widths(
        spec.weight_width,
        spec.rate_format.width,
        spec.u_format.width,
        spec.scale_width,
        spec.constant_width,
    )
