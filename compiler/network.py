"""The integer model of a whole network: what every word on the chip must equal, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.layer import LayerSpec, Saturation


@dataclass(frozen=True)
class LayerState:
    """State of one layer between two steps.

    Parameters
    ----------
    u, r
        Raw potentials and rates, shape `(batch, outputs)`.
    start
        Whether the frame that the layer computed last began a sequence.
    waiting
        Whether the layer is held at its initial state until a frame that begins a sequence arrives.
    """

    u: Raw
    r: Raw
    start: bool = False
    waiting: bool = False


@dataclass(frozen=True)
class NetworkState:
    """State of all layers; `fresh` until the first step after a reset."""

    layers: tuple[LayerState, ...]
    fresh: bool = True


@dataclass(frozen=True)
class NetworkSpec:
    """Layers that all step at once, each from the values of the step before.

    Parameters
    ----------
    layers
        From the input to the output.
    """

    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("network must have a layer")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if above.inputs != below.outputs:
                raise ValueError(
                    f"{above.name}: inputs must be {below.outputs}, not {above.inputs}"
                )
            if above.x_format != below.rate_format:
                raise ValueError(f"{above.name}: x_format must be that of the rates below")

    def reset(self, batch: int = 1) -> NetworkState:
        """All potentials and rates 0."""
        shapes = [(batch, layer.outputs) for layer in self.layers]
        return NetworkState(
            tuple(LayerState(np.zeros(s, np.int64), np.zeros(s, np.int64)) for s in shapes)
        )

    def step(
        self, state: NetworkState, x: Raw, start: bool = False
    ) -> tuple[NetworkState, tuple[Saturation, ...]]:
        """One step of every layer.

        A frame that begins a sequence carries a flag, which travels with it: the layer that it
        reaches steps from potentials and own rates of 0. Where the first frame after a reset
        carries it, the layers above are held at 0, their rates too, until it reaches them.

        Parameters
        ----------
        state
            After the step before, or of `reset`.
        x
            Raw input frame, shape `(batch, inputs)`.
        start
            Whether this frame begins a sequence.

        Returns
        -------
        state, saturation
            After the step; what was clamped, per layer.
        """
        after, counts = [], []
        for index, (spec, layer) in enumerate(zip(self.layers, state.layers, strict=True)):
            below = state.layers[index - 1] if index else LayerState(x, x, start)
            waiting = (layer.waiting or (state.fresh and start)) and not below.start
            if waiting:
                after.append(replace(layer, start=False, waiting=True))
                counts.append(Saturation())
                continue
            u, r = (layer.u * 0, layer.r * 0) if below.start else (layer.u, layer.r)
            columns = np.concatenate([below.r, r], axis=-1) if spec.recurrent else below.r
            u, r, count = spec.step(columns, u)
            after.append(LayerState(u, r, below.start))
            counts.append(count)
        return NetworkState(tuple(after), fresh=False), tuple(counts)

    def trace(
        self, x: Raw, *, start: Raw | None = None, state: NetworkState | None = None
    ) -> Iterator[tuple[NetworkState, tuple[Saturation, ...]]]:
        """`step` over frames `x` of shape `(T, batch, inputs)`; `start` of shape `(T,)`."""
        state = self.reset(x.shape[1]) if state is None else state
        for t, frame in enumerate(x):
            state, counts = self.step(state, frame, bool(start is not None and start[t]))
            yield state, counts
