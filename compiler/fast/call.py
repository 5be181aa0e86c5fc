"""One call of the library: frames in, outputs out, states changed in place."""

from __future__ import annotations

import ctypes

import numpy as np

from vle.compiler.fast.build import load
from vle.compiler.fast.words import RUN, Record, Words
from vle.compiler.fixed import Raw

START, TARGET, IS_ERROR, FREEZE = 1, 2, 4, 8  # flags of a step


def call(layers: Record, x: Raw, flags: Raw, *, fresh: bool, wide: bool, more: Words) -> Record:
    """Run all steps and sequences, and return `Run` with its arrays.

    Parameters
    ----------
    layers
        Their words, which change.
    x
        Raw frames, shape `(T, batch, inputs)`.
    flags
        Of each step, shape `(T,)`.
    fresh
        Whether no step has been made since the reset.
    wide
        Whether words of 32 bits are too narrow.
    more
        Further words of `Run`.
    """
    words: dict[str, int | Raw] = {
        "steps": len(x),
        "batch": x.shape[1],
        "layers": len(layers.memory),
        "fresh": int(fresh),
        "wide": int(wide),
        "x": x,
        "flags": flags,
        "output": np.zeros((*x.shape[:2], layers.scalar(-1, "outputs")), np.int64),
        **more,
    }
    job = Record(RUN, [words])
    load().vle_run(ctypes.c_void_p(job.address), ctypes.c_void_p(layers.address))
    return job
