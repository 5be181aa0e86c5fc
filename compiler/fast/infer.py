"""Whole signals through a network that does not learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vle.compiler.fast import checks, states
from vle.compiler.fast.call import START, call
from vle.compiler.fast.layers import layer_words
from vle.compiler.fast.words import LAYER, Record, Words
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
    record = Record(LAYER, _rows(network, state, len(words) if trace else 0))
    more = {"traces": int(trace)}
    done = call(record, words, flags, fresh=state.fresh, wide=wide, more=more).arrays[0]
    each = range(len(layers))
    after = NetworkState(
        tuple(states.run_state(record, k) for k in each), state.fresh and not len(words)
    )
    u, r = (tuple(record.arrays[k][name] for k in each if trace) for name in ("trace_u", "trace_r"))
    return Inferred(after, done["output"], tuple(states.saturation(record, k) for k in each), u, r)


def _rows(network: NetworkSpec, state: NetworkState, traced: int) -> list[Words]:
    """Words of all layers, with room for the traces of as many steps."""
    rows: list[Words] = []
    for layer, before in zip(network.layers, state.layers, strict=True):
        kept = np.zeros((traced, *before.u.shape), np.int64)
        traces = {"trace_u": kept, "trace_r": kept}
        rows.append({**layer_words(layer), **states.run_words(before), **traces})
    return rows
