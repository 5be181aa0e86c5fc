"""Whole signals through a network that learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vle.compiler.fast import checks, states
from vle.compiler.fast.call import FREEZE, IS_ERROR, START, TARGET, call
from vle.compiler.fast.layers import layer_words, learning_words
from vle.compiler.fast.probe import Probe, probe_words
from vle.compiler.fast.words import LAYER, Record, Words
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.learning import time_constants, top
from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.step import Clamped
from vle.compiler.network import NetworkState

TRACES = ("trace_u", "trace_r", "trace_v", "trace_e")


class Traces(NamedTuple):
    """Words of all steps, per layer `(T, outputs)`; the exponent of `e` and `v`, `(T,)`."""

    u: tuple[Raw, ...]
    r: tuple[Raw, ...]
    v: tuple[Raw, ...]
    e: tuple[Raw, ...]
    exponent: tuple[Raw, ...]


class Learned(NamedTuple):
    """What a run that learns gives.

    Parameters
    ----------
    state
        After the last step.
    output
        Rates of the top layer after each step, shape `(T, outputs)`.
    clamped, saturation
        Words clamped in all steps, per layer.
    probes
        Shape `(T, number of probes)`.
    traces
        Where asked for.
    """

    state: LearnState
    output: Raw
    clamped: tuple[Clamped, ...]
    saturation: tuple[Saturation, ...]
    probes: Raw
    traces: Traces | None


def run(
    net: LearningNetwork,
    state: LearnState,
    x: ArrayLike,
    target: ArrayLike | None = None,
    *,
    has_target: ArrayLike | None = None,
    is_error: ArrayLike = False,
    start: ArrayLike = False,
    freeze: ArrayLike = False,
    probes: Sequence[Probe] = (),
    trace: bool = False,
) -> Learned:
    """`LearningNetwork.step` over whole signals, bit for bit.

    Parameters
    ----------
    net
        The network.
    state
        After the step before; it is not changed.
    x
        Raw input frames, shape `(T, inputs)`.
    target
        Raw targets or errors, shape `(T, outputs)`; None: no step has one.
    has_target
        Which steps have one, shape `(T,)`; None: all.
    is_error
        In which steps the words are `-dC/dr`; `(T,)`, or one flag for all, as the two below.
    start
        Which frames begin a sequence.
    freeze
        Which steps do not update.
    probes
        Words to record.
    trace
        Whether to keep potentials, rates and errors of all steps.

    Raises
    ------
    ValueError
        For arrays of wrong shapes, words that their format does not hold, a state of another
        network, and a network whose binary points are beyond 64 bits.
    vle.compiler.fast.CompilerError
        Where the machine has no C++ compiler.
    """
    layers = net.network.layers
    words = checks.frames("x", x, layers[0].inputs)
    checks.check_words("x", words, layers[0].x_format.width)
    told, has = _targets(target, has_target, (len(words), layers[-1].outputs))
    flags = START * checks.flags("start", start, len(words)) + TARGET * has
    flags += IS_ERROR * checks.flags("is_error", is_error, len(words))
    flags += FREEZE * checks.flags("freeze", freeze, len(words))
    record = Record(LAYER, _rows(net, state, len(words) if trace else 0))
    more = {
        **_loss_words(net),
        "target": told,
        "probe": probe_words(net, probes),
        "probes": len(probes),
        "probed": np.zeros((len(words), len(probes)), np.int64),
        "traces": int(trace),
    }
    wide = not all(map(checks.is_narrow, layers, net.learning))
    done = call(record, words[:, None], flags, fresh=state.run.fresh, wide=wide, more=more).arrays[
        0
    ]
    return _learned(state, record, done, trace=trace)


def _targets(
    target: ArrayLike | None, has_target: ArrayLike | None, shape: tuple[int, int]
) -> tuple[Raw, Raw]:
    told = np.zeros((0, 0), np.int64)
    if target is not None:
        told = checks.frames("target", target, shape[1])
        if len(told) != shape[0]:
            raise ValueError(f"target must have {shape[0]} frames, as x, not {len(told)}")
    given = target is not None if has_target is None else has_target
    has = checks.flags("has_target", given, shape[0])
    if has.any() and target is None:
        raise ValueError("target must be given where has_target says so")
    return told, has


def _loss_words(net: LearningNetwork) -> Words:
    return {
        "cross_entropy": int(net.loss == "cross_entropy"),
        "rate_bits": net.network.layers[-1].rate_format.f_bits,
        "error_bits": net.error_bits,
        "top_exp2": top.EXP2,
        "log_exp2": time_constants.EXP2,
    }


def _rows(net: LearningNetwork, state: LearnState, traced: int) -> list[Words]:
    """Words of all layers, with room for the traces of as many steps."""
    net.check(state)
    rows: list[Words] = []
    pairs = zip(net.network.layers, net.learning, strict=True)
    for k, (layer, learning) in enumerate(pairs):
        checks.check_points(layer, learning)
        kept = {name: np.zeros((traced, layer.outputs), np.int64) for name in TRACES}
        rows.append(
            {
                **layer_words(layer),
                **learning_words(layer, learning),
                **states.run_words(state.run.layers[k]),
                **states.state_words(state.learning[k]),
                **kept,
                "trace_exponent": np.zeros(traced, np.int64),
            }
        )
    return rows


def _learned(state: LearnState, record: Record, done: dict[str, Raw], *, trace: bool) -> Learned:
    each = range(len(state.learning))
    runs = tuple(states.run_state(record, k) for k in each)
    learning = tuple(states.learning_state(record, k, s) for k, s in enumerate(state.learning))
    fresh = state.run.fresh and not len(done["output"])
    names = (*TRACES, "trace_exponent")
    kept = (tuple(record.arrays[k][name] for k in each) for name in names)
    return Learned(
        LearnState(NetworkState(runs, fresh), learning),
        done["output"][:, 0],
        tuple(states.clamped(record, k) for k in each),
        tuple(states.saturation(record, k) for k in each),
        done["probed"],
        Traces(*kept) if trace else None,
    )
