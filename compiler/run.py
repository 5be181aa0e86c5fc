"""Whole signals through the integer model, in raw words and in real units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.network import NetworkSpec, NetworkState


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
    network is late, and as many outputs are left out.
    """
    late = len(network.layers) - 1 if aligned else 0
    steps = len(x) + late
    state = network.reset(x.shape[1]) if session.state is None else session.state
    counts = session.saturation or (Saturation(),) * len(network.layers)
    output = np.empty((steps, x.shape[1], network.layers[-1].outputs), dtype=np.int64)
    kept = [np.empty((2, steps, *s.u.shape), dtype=np.int64) for s in state.layers if trace]
    rest = np.zeros(x.shape[1:], dtype=np.int64)
    for t in range(steps):
        state, more = network.step(state, x[t] if t < len(x) else rest, aligned and t == 0)
        counts = tuple(a.plus(b) for a, b in zip(counts, more, strict=True))
        output[t] = state.layers[-1].r
        for into, layer in zip(kept, state.layers, strict=False):
            into[0, t], into[1, t] = layer.u, layer.r
    session.state, session.saturation = state, counts
    return RawRun(output[late:], tuple(k[0] for k in kept), tuple(k[1] for k in kept))
