"""Whole signals through the integer model, in raw words and in real units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vle.compiler import fast
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.network import NetworkSpec, NetworkState

LONG = 10_000  # layers times steps from which a run is worth the seconds that C++ may take to build


@dataclass
class Session:
    """What a chip remembers between two calls of `run`.

    Parameters
    ----------
    state
        After the last step; None before the first.
    inputs
        Input words that were clamped since the last reset.
    saturation
        Words clamped since the last reset, per layer.
    """

    state: NetworkState | None = None
    inputs: int = 0
    saturation: tuple[Saturation, ...] = ()


@dataclass(frozen=True)
class RawRun:
    """Integers of a run.

    Parameters
    ----------
    output
        Rates of the top layer, `(T, batch, outputs)`.
    u, r
        Potentials and rates of each layer in every step, flushed ones included, where traced:
        `(steps, batch, outputs)`.
    """

    output: Raw
    u: tuple[Raw, ...] = field(default=(), repr=False)
    r: tuple[Raw, ...] = field(default=(), repr=False)


def run_raw(
    network: NetworkSpec, session: Session, x: Raw, *, aligned: bool, trace: bool = False
) -> RawRun:
    """Run raw frames `x` of shape `(T, batch, inputs)`, and leave the state in `session`.

    Where `aligned`, the first frame begins a sequence, as many frames of zeros follow as the
    network is late, and as many outputs are left out. Long signals run in C++ where the machine
    has a compiler; in Python they are slower and else the same.
    """
    late = len(network.layers) - 1 if aligned else 0
    frames = np.concatenate([x, np.zeros((late, *x.shape[1:]), np.int64)])
    run = _fast if len(frames) * len(network.layers) >= LONG else _slow
    try:
        got = run(network, session, frames, aligned=aligned, trace=trace)
    except fast.CompilerError:
        got = _slow(network, session, frames, aligned=aligned, trace=trace)
    return RawRun(got.output[late:], got.u, got.r)


def _fast(network: NetworkSpec, session: Session, x: Raw, *, aligned: bool, trace: bool) -> RawRun:
    state = network.reset(x.shape[1]) if session.state is None else session.state
    got = fast.infer(network, state, x, start=_begins(x, aligned), trace=trace)
    before = session.saturation or (Saturation(),) * len(network.layers)
    pairs = zip(before, got.saturation, strict=True)
    session.state, session.saturation = got.state, tuple(a.plus(b) for a, b in pairs)
    return RawRun(got.output, got.u, got.r)


def _slow(network: NetworkSpec, session: Session, x: Raw, *, aligned: bool, trace: bool) -> RawRun:
    state = network.reset(x.shape[1]) if session.state is None else session.state
    counts = session.saturation or (Saturation(),) * len(network.layers)
    output = np.empty((*x.shape[:2], network.layers[-1].outputs), dtype=np.int64)
    kept = [np.empty((2, len(x), *s.u.shape), dtype=np.int64) for s in state.layers if trace]
    steps = network.trace(x, start=_begins(x, aligned), state=state)
    for t, (after, more) in enumerate(steps):
        state = after
        counts = tuple(a.plus(b) for a, b in zip(counts, more, strict=True))
        output[t] = state.layers[-1].r
        for into, layer in zip(kept, state.layers, strict=False):
            into[0, t], into[1, t] = layer.u, layer.r
    session.state, session.saturation = state, counts
    return RawRun(output, tuple(k[0] for k in kept), tuple(k[1] for k in kept))


def _begins(x: Raw, aligned: bool) -> Raw:
    """Flag the first frame."""
    start = np.zeros(len(x), np.int64)
    start[:1] = aligned
    return start
