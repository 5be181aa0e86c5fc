"""One call of the library: frames in, outputs out, states changed in place."""

from __future__ import annotations

import ctypes

import numpy as np

from vle.compiler.fast.build import load
from vle.compiler.fast.words import RUN, Record, Words
from vle.compiler.fixed import Raw

START, TARGET, IS_ERROR, FREEZE = 1, 2, 4, 8  # flags of a step


def call(layers: Record, x: Raw, flags: Raw, *, fresh: bool, wide: bool, more: Words) -> Record:
    """Run all steps; `more` are further words of `Run`. Returns `Run` with its arrays."""
    words: dict[str, int | Raw] = {
        "steps": len(x),
        "layers": len(layers.memory),
        "fresh": int(fresh),
        "wide": int(wide),
        "x": x,
        "flags": flags,
        "output": np.zeros((len(x), layers.scalar(-1, "outputs")), np.int64),
        **more,
    }
    job = Record(RUN, [words])
    load().vle_run(ctypes.c_void_p(job.address), ctypes.c_void_p(layers.address))
    return job
