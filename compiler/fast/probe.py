"""Single words recorded after every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.learning.network import LearningNetwork

KINDS = ("u", "r", "prime", "v", "inst_e", "e", "bias", "weight", "exponent", "log_m", "log_r")


class Probe(NamedTuple):
    """A word that is recorded after every step.

    Parameters
    ----------
    kind
        One of `KINDS`; ``exponent``: that of the step's errors.
    layer
        From 0, the first.
    row, column
        Neuron, and of a weight its column.
    """

    kind: str
    layer: int
    row: int = 0
    column: int = 0


def probe_words(net: LearningNetwork, probes: Sequence[Probe]) -> Raw:
    """Kind, layer, row and column of each, shape `(len(probes), 4)`."""
    words = np.zeros((len(probes), 4), np.int64)
    for into, probe in zip(words, probes, strict=True):
        _check(net, probe)
        into[:] = KINDS.index(probe.kind), probe.layer, probe.row, probe.column
    return words


def _check(net: LearningNetwork, probe: Probe) -> None:
    if probe.kind not in KINDS:
        raise ValueError(f"kind of a probe must be one of {', '.join(KINDS)}, not {probe.kind!r}")
    if not 0 <= probe.layer < len(net.learning):
        most = len(net.learning) - 1
        raise ValueError(f"layer of a probe must be in 0..{most}, not {probe.layer!r}")
    layer = net.network.layers[probe.layer]
    if not 0 <= probe.row < layer.outputs or not 0 <= probe.column < layer.columns:
        shape = f"{layer.outputs} x {layer.columns}"
        raise ValueError(f"{layer.name}: probe must lie within {shape}, not {probe!r}")
    if probe.kind.startswith("log") and not net.learning[probe.layer].time_constants:
        raise ValueError(f"{layer.name}: {probe.kind} must learn to be probed")
