"""What a chip must do: the integer model's words, and their comparison with a recorded trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.activation import Table
from vle.compiler.bundle.manifest import WORDS
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec, NetworkState
from vle.host.parameters import Parameters


@dataclass(frozen=True)
class Expected:
    """Every word of every step.

    Parameters
    ----------
    u, r
        Per layer, shape `(steps, neurons)`.
    waiting
        Whether a layer was held at its initial state, shape `(layers, steps)`.
    outputs, start
        Output frames, shape `(steps, outputs)`, and whether each began a sequence.
    saturation
        Counts over all steps, shape `(layers, 3)`.
    state
        After the last step.
    """

    u: list[np.ndarray]
    r: list[np.ndarray]
    waiting: np.ndarray
    outputs: np.ndarray
    start: np.ndarray
    saturation: np.ndarray | None = None
    state: NetworkState | None = None

    @classmethod
    def of_arrays(cls, u: list[np.ndarray], r: list[np.ndarray]) -> Expected:
        """Words that a design traced from reset, without flags."""
        waiting = np.zeros((len(u), len(u[0])), bool)
        return cls(u, r, waiting, r[-1], waiting[0])


def expected(
    spec: NetworkSpec,
    frames: np.ndarray,
    start: np.ndarray | None = None,
    state: NetworkState | None = None,
) -> Expected:
    """Run the integer model over raw frames, shape `(steps, inputs)`."""
    states, counts = [], []
    for after, count in spec.trace(frames[:, np.newaxis], start=start, state=state):
        states.append(after)
        counts.append(count)
    layers = range(len(spec.layers))
    r = [np.concatenate([s.layers[index].r for s in states]) for index in layers]
    return Expected(
        u=[np.concatenate([s.layers[index].u for s in states]) for index in layers],
        r=r,
        waiting=np.array([[s.layers[index].waiting for s in states] for index in layers]),
        outputs=r[-1],
        start=np.array([s.layers[-1].start for s in states]),
        saturation=np.array(counts).sum(axis=0),
        state=states[-1],
    )


def differing_words(want: Expected, trace: np.ndarray) -> tuple[int, int]:
    """Words `u` and `r` in which rows `layer, neuron, u, r` differ from the model, and how many
    were compared. A layer that waits computes nothing, so it has no rows.
    """
    differing = compared = 0
    for index, (u, r, waiting) in enumerate(zip(want.u, want.r, want.waiting, strict=True)):
        rows = trace[trace["layer"] == index]
        steps, neurons = u[~waiting].shape
        assert rows.size == steps * neurons, (
            f"layer {index}: {rows.size} rows, not {steps * neurons}"
        )
        order = np.lexsort((rows["neuron"], np.arange(rows.size) // neurons))
        rows = rows[order].reshape(steps, neurons)
        assert np.array_equal(rows["neuron"], np.tile(np.arange(neurons), (steps, 1)))
        differing += np.count_nonzero(rows["u"] != u[~waiting])
        differing += np.count_nonzero(rows["r"] != r[~waiting])
        compared += 2 * rows.size
    return differing, compared


def parameters_of(layer: LayerSpec) -> Parameters:
    """Words of a layer as the driver takes them."""
    words = {kind: getattr(layer, kind) for kind in WORDS}
    if isinstance(layer.activation, Table):
        words["table_value"] = np.array(layer.activation.value)
        words["table_delta"] = np.array(layer.activation.delta)
    return Parameters(**words)
