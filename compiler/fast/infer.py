"""Whole signals through a network that does not learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vle.compiler.fast import checks, states
from vle.compiler.fast.call import START, call
from vle.compiler.fast.layers import layer_words
from vle.compiler.fast.words import LAYER, Record
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.network import NetworkSpec, NetworkState


class Inferred(NamedTuple):
    """What a run without learning gives.

    Parameters
    ----------
    state
        After the last step.
    output
        Rates of the top layer after each step, shape `(T, batch, outputs)`.
    saturation
        Words clamped in all steps, per layer.
    u, r
        Potentials and rates of each layer in every step, where traced: `(T, batch, outputs)`.
    """

    state: NetworkState
    output: Raw
    saturation: tuple[Saturation, ...]
    u: tuple[Raw, ...]
    r: tuple[Raw, ...]


def infer(
    network: NetworkSpec,
    state: NetworkState,
    x: ArrayLike,
    *,
    start: ArrayLike = False,
    trace: bool = False,
) -> Inferred:
    """`NetworkSpec.step` over whole signals, bit for bit; each sequence of the batch in turn.

    Parameters
    ----------
    network
        The layers.
    state
        After the step before; it is not changed.
    x
        Raw input frames, shape `(T, batch, inputs)`.
    start
        Which frames begin a sequence, `(T,)`, or one flag for all.
    trace
        Whether to keep potentials and rates of all steps.

    Raises
    ------
    ValueError
        For arrays of wrong shapes, and words that their format does not hold.
    vle.compiler.fast.CompilerError
        Where the machine has no C++ compiler.
    """
    layers, batch = network.layers, len(state.layers[0].u)
    words = checks.frames("x", x, batch, layers[0].inputs)
    checks.check_words("x", words, layers[0].x_format.width)
    flags = START * checks.flags("start", start, len(words))
    wide = not all(checks.is_narrow(layer, None) for layer in layers)
    records, outputs = [], [np.zeros((len(words), 0, layers[-1].outputs), np.int64)]
    for row in range(batch):
        record = _record(network, state, row, len(words) if trace else 0)
        frames = np.ascontiguousarray(words[:, row])
        more = {"traces": int(trace)}
        done = call(record, frames, flags, fresh=state.fresh, wide=wide, more=more)
        records.append(record)
        outputs.append(done.arrays[0]["output"][:, None])
    return _inferred(state, records, np.concatenate(outputs, axis=1), trace=trace)


def _record(network: NetworkSpec, state: NetworkState, row: int, traced: int) -> Record:
    rows = []
    for layer, before in zip(network.layers, state.layers, strict=True):
        kept = np.zeros((traced, layer.outputs), np.int64)
        traces = {"trace_u": kept, "trace_r": kept}
        rows.append({**layer_words(layer), **states.run_words(before, row), **traces})
    return Record(LAYER, rows)


def _inferred(state: NetworkState, records: list[Record], output: Raw, *, trace: bool) -> Inferred:
    each = range(len(state.layers))
    after = tuple(states.run_state(records, k) for k in each)
    fresh = state.fresh and not len(output)
    u, r = (
        tuple(np.stack([one.arrays[k][name] for one in records], axis=1) for k in each if trace)
        for name in ("trace_u", "trace_r")
    )
    counts = tuple(states.saturation(records, k) for k in each)
    return Inferred(NetworkState(after, fresh), output, counts, u, r)
