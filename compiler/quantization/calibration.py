"""What the compiler knows about the inputs: data, or a range, and the ranges that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.quantization.extremes import refuse_parameters, refuse_signals
from vle.compiler.quantization.moments import Moments, input_moments
from vle.compiler.quantization.ranges import LayerRanges, Range, bound, observe
from vle.errors import CompileError
from vle.sim import Network

Float = NDArray[np.float64]

SEQUENCES = 64  # stretches of the calibration data that the whole analysis runs on
STEPS = 2048  # of each of them
WORDS = 1 << 26  # that are kept of what all layers hear
PROBES = 16  # sequences made up where no interval can be found
ASSUMED = (-1.0, 1.0)


@dataclass(frozen=True)
class Calibration:
    """Ranges of all signals and where they come from.

    Parameters
    ----------
    source
        `data`, `intervals` (nothing within the input range can leave the ranges) or `probes`
        (random signals within the input range; like data, they prove nothing).
    ranges
        Of each layer.
    x
        The signals that the float network ran on, `(T, batch, inputs)`.
    moments
        Of what the neurons hear; None where there are no data.
    inputs
        The stated range of the inputs, where there is one.
    exponents
        As of `vle.compiler.quantization.ranges.Observation`.
    notes
        What was assumed or left out.
    """

    source: str
    ranges: tuple[LayerRanges, ...]
    x: Float
    moments: tuple[Moments, ...] | None
    inputs: Range | None
    exponents: tuple[dict[str, dict[int, int]], ...]
    notes: tuple[str, ...]


def calibrate(
    network: Network,
    data: ArrayLike | None = None,
    input_range: tuple[ArrayLike, ArrayLike] | None = None,
) -> Calibration:
    """Find the ranges of a network's signals.

    Data decide where there are some; a range that is stated as well widens the format of the
    inputs to hold it.

    Parameters
    ----------
    network
        The float network.
    data
        ``(T, inputs)`` or ``(T, batch, inputs)`` in real units.
    input_range
        Lowest and highest input, numbers or one per channel.

    Raises
    ------
    CompileError
        For data of the wrong shape or not finite, for a range that is none, and for numbers too
        large or too small for any format.
    """
    refuse_parameters(network)
    stated = None if input_range is None else _range(network, input_range)
    if data is not None:
        return _from_data(network, frames(network, data), stated)
    notes: tuple[str, ...] = ()
    if stated is None:
        stated = _range(network, ASSUMED)
        notes = (
            f"neither calibration data nor an input range: inputs are taken to be within "
            f"{ASSUMED[0]:g}..{ASSUMED[1]:g}",
        )
    probes = _probes(network, stated)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
        seen = observe(network, probes)
        ranges = bound(network, stated)
    source = "intervals"
    if ranges is None:
        source, ranges = "probes", seen.ranges
        notes += ("intervals of a recurrent layer do not settle: ranges from random signals",)
    refuse_signals(ranges)
    refuse_signals(seen.ranges)
    return Calibration(source, ranges, probes, None, stated, seen.exponents, notes)


def _from_data(network: Network, x: Float, stated: Range | None) -> Calibration:
    used = _selection(network, x)
    notes = []
    if used.size != x.size:
        notes.append(
            f"ranges of the layers from {used.shape[1]} stretches of {used.shape[0]} steps, of "
            f"{x.shape[1]} sequences of {x.shape[0]}; of the inputs from all"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        seen = observe(network, used)
    ranges = list(seen.ranges)
    inputs = Range(x.min(axis=(0, 1)), x.max(axis=(0, 1)))
    inputs = inputs if stated is None else inputs.join(stated)
    first = ranges[0]
    ranges[0] = LayerRanges(inputs, first.current, first.u, first.prosp, first.r)
    refuse_signals(tuple(ranges))
    moments = input_moments(network, seen.heard)
    return Calibration("data", tuple(ranges), used, moments, stated, seen.exponents, tuple(notes))


def _selection(network: Network, x: Float) -> Float:
    """Up to `SEQUENCES` stretches of up to `STEPS` steps, spread evenly over the data."""
    columns = sum(layer.inputs + layer.outputs for layer in network.layers)
    steps = max(1, min(len(x), STEPS, WORDS // columns))
    most = max(1, min(SEQUENCES, WORDS // (columns * steps)))
    starts = np.arange(0, len(x) - steps + 1, steps)
    stretches = len(starts) * x.shape[1]
    chosen = np.unique(np.linspace(0, stretches - 1, min(most, stretches)).astype(int))
    cut = [x[starts[n // x.shape[1]] :][:steps, n % x.shape[1]] for n in chosen]
    return np.stack(cut, axis=1)


def frames(network: Network, data: ArrayLike) -> Float:
    """Return calibration data as `(T, batch, inputs)`.

    Raises
    ------
    CompileError
        For data of the wrong shape, or not finite.
    """
    try:
        x = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CompileError(f"calibration data must be numbers: {error}") from error
    n = network.inputs
    if x.ndim not in (2, 3) or x.shape[-1] != n:
        raise CompileError(
            f"calibration data must be of shape (T, {n}) or (T, batch, {n}), not {x.shape!r}"
        )
    if not x.size:
        raise CompileError(f"calibration data must not be empty, but are of shape {x.shape!r}")
    if not np.isfinite(x).all():
        raise CompileError("calibration data must be finite, not NaN or infinite")
    return x.reshape(len(x), -1, n)


def _range(network: Network, ends: tuple[ArrayLike, ArrayLike]) -> Range:
    try:
        low, high = (np.broadcast_to(np.asarray(e, float), (network.inputs,)) for e in ends)
    except (TypeError, ValueError) as error:
        raise CompileError(
            f"input range must be two numbers, or two arrays of {network.inputs}"
        ) from error
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise CompileError(f"input range must be finite and not reversed, not {low}..{high}")
    return Range(np.array(low), np.array(high))


def _probes(network: Network, inputs: Range) -> Float:
    """Signals from still to noisy that fill the range: sums of steps of random lengths."""
    rng = np.random.default_rng(0)
    steps = 256
    x = np.empty((steps, PROBES, network.inputs))
    for index in range(PROBES):
        hold = 1 << (index % 6)
        levels = rng.uniform(inputs.low, inputs.high, (steps // hold + 1, network.inputs))
        x[:, index] = np.repeat(levels, hold, axis=0)[:steps]
    return x
