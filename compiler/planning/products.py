"""Every product of a circuit: its factors, as signed words, as the generated Verilog has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from vle.compiler.activation import PiecewiseLinear, Table
from vle.compiler.circuit import latency
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning import time_constants, top, traces
from vle.compiler.learning.derivative import PRIME_WIDTH, OfRate
from vle.compiler.learning.errors import GUARD
from vle.compiler.learning.rate import MANTISSA_WIDTH
from vle.compiler.learning.updates import SIGNAL_WIDTH

SLOPE_WIDTH = 18  # of a slope of a piecewise linear activation


class ProductNeed(NamedTuple):
    """A multiplication made in every clock.

    Parameters
    ----------
    kind
        What it is for; `LANES` are those of the synapses, one for each lane.
    owner
        Index of the engine.
    a, b
        Bits of its factors, signed: an unsigned factor has one more.
    times
        How many there are.
    """

    kind: str
    owner: int
    a: int
    b: int
    times: int = 1


LANES = ("forward", "backward", "update")


def products(chip: ChipSpec) -> tuple[ProductNeed, ...]:
    """Return all products of a chip's core."""
    return (*_all(chip),)


def _all(chip: ChipSpec) -> Iterator[ProductNeed]:
    for engine in chip.engines:
        yield from _of_lanes(engine)
        yield from _of_neurons(engine)
        if engine.learns:
            yield from _of_errors(engine)
        if engine.learns_time_constants:
            yield from _of_time_constants(engine)
        if engine.trace_groups:
            gap = engine.operand_width + traces.GUARD + 1
            times = 2 * engine.trace_groups
            yield ProductNeed("trace", engine.index, gap, engine.constant_width + 1, times)
    if chip.learning is not None and chip.learning.loss == "cross_entropy":
        yield from _of_softmax(chip)


def _of_lanes(engine: Engine) -> Iterator[ProductNeed]:
    index, lanes, weight = engine.index, engine.lanes, engine.weight_width
    yield ProductNeed("forward", index, weight, engine.operand_width, lanes)
    if any(piece.sends or piece.loops for piece in engine.passes):
        yield ProductNeed("backward", index, weight, engine.error_width, lanes)
    if engine.learns:
        yield ProductNeed("update", index, SIGNAL_WIDTH, engine.operand_width, lanes)


def _of_neurons(engine: Engine) -> Iterator[ProductNeed]:
    index, d = engine.index, engine.u_width + 1
    if not engine.learns:  # those that learn have scales of 1
        yield ProductNeed("scale", index, engine.acc_width, engine.scale_width + 1)
    yield ProductNeed("alpha, rho", index, d, engine.constant_width + 1, 2)
    circuits = [spec.activation for spec in engine.layers]
    shifts = [circuit.shift for circuit in circuits if isinstance(circuit, Table)]
    if shifts:
        yield ProductNeed("table", index, engine.rate_width + 1, max(shifts) + 1)
    slopes = [
        slope
        for circuit in circuits
        if isinstance(circuit, PiecewiseLinear)
        for slope in (circuit.negative_slope, circuit.positive_slope)
    ]
    if not all(map(latency.is_shift, slopes)):
        yield ProductNeed("slope", index, engine.u_width, SLOPE_WIDTH)


def _of_errors(engine: Engine) -> Iterator[ProductNeed]:
    index, error, constant = engine.index, engine.error_width, engine.constant_width + 1
    if any(isinstance(learning.derivative, OfRate) for learning in engine.learning):
        yield ProductNeed("square", index, engine.rate_width, engine.rate_width)
    yield ProductNeed("prime", index, error + GUARD, PRIME_WIDTH)
    yield ProductNeed("kappa", index, error, constant)
    yield ProductNeed("kappa of v", index, engine.v_width, constant)
    yield ProductNeed("beta", index, engine.v_width + 1, constant)
    yield ProductNeed("signal", index, error, MANTISSA_WIDTH + 1)
    if engine.learns_time_constants:
        negated = not all(learning.filtered for learning in engine.learning)
        yield ProductNeed("signal of tau_m", index, error + negated, MANTISSA_WIDTH + 1)
        yield ProductNeed("signal of tau_r", index, error, MANTISSA_WIDTH + 1)


def _of_time_constants(engine: Engine) -> Iterator[ProductNeed]:
    index, gap = engine.index, engine.u_width + 1
    filtered = [learning.filtered for learning in engine.learning]
    ahead = gap + time_constants.CONSTANT_WIDTH - time_constants.RATIO_SHIFT
    factors = [] if all(filtered) else [(gap, ahead)]
    factors += [(time_constants.SENSITIVITY_WIDTH,) * 2] * any(filtered)
    for kind, widths in zip(("tau_m", "tau_r"), zip(*factors, strict=True), strict=True):
        yield ProductNeed(kind, index, SIGNAL_WIDTH, max(widths))
    rest = time_constants.LOG_BITS - time_constants.INDEX
    yield ProductNeed("exp2", index, *_interpolation(time_constants.EXP2.tolist(), rest), 4)
    if any(filtered):
        gap = max(gap, time_constants.SENSITIVITY_WIDTH) + 2
        yield ProductNeed("sensitivity", index, gap, time_constants.CONSTANT_WIDTH + 1, 2)


def _of_softmax(chip: ChipSpec) -> Iterator[ProductNeed]:
    last = len(chip.network.layers) - 1
    index, rate = chip.engine_of(last)[0].index, chip.network.layers[-1].rate_format.width
    rest = top.FRACTION - top.INDEX
    yield ProductNeed("logarithm", index, rate, top.LOG2E.bit_length() + 1)
    yield ProductNeed("exponential", index, *_interpolation(top.EXP2.tolist(), rest))
    quotient = top.RECIPROCAL - top.MANTISSA + 1
    yield ProductNeed("quotient", index, top.MANTISSA + 3, quotient + 1)


def _interpolation(entries: list[int], rest: int) -> tuple[int, int]:
    """Factors of a step between two entries and a fraction, both unsigned."""
    step = max(b - a for a, b in pairwise(entries))
    return step.bit_length() + 1, rest + 1
