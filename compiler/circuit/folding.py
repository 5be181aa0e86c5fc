"""Which engine works on which layer, and on how many rows and columns at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from vle.compiler.activation import Table
from vle.compiler.circuit.edges import (
    Edge,
    Frames,
    Sums,
    SumsEdge,
    lay_out_edges,
    lay_out_sums,
    share_frames,
    share_sums,
)
from vle.compiler.circuit.geometry import Engine, lay_out_engines
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.network import NetworkSpec


@dataclass(frozen=True)
class EngineSpec:
    """A PE x SIMD array and the layers that it works on in turn, within each step.

    Parameters
    ----------
    pe, simd
        Rows (neurons) and columns (inputs) worked on per clock; any number from 1.
    layers
        Indices of its layers, in any order: the engine works from the lowest up, so that no layer
        waits for the one just done before it.
    """

    pe: int
    simd: int
    layers: tuple[int, ...]

    def __post_init__(self) -> None:
        for what in ("pe", "simd"):
            if getattr(self, what) < 1:
                raise ValueError(f"{what} must be 1 or more, not {getattr(self, what)!r}")
        if not self.layers:
            raise ValueError("engine must serve a layer")

    @property
    def lanes(self) -> int:
        """Synapses worked on per clock."""
        return self.pe * self.simd


@dataclass(frozen=True)
class Folding:
    """All engines; each layer belongs to exactly one."""

    engines: tuple[EngineSpec, ...]

    def __post_init__(self) -> None:
        served = sorted(layer for engine in self.engines for layer in engine.layers)
        if served != list(range(len(served))) or not served:
            raise ValueError(f"layers must be served exactly once each, not {served}")

    @property
    def lanes(self) -> int:
        """Synapses worked on per clock, over all engines."""
        return sum(engine.lanes for engine in self.engines)

    @property
    def layer_count(self) -> int:
        """Layers served."""
        return sum(len(engine.layers) for engine in self.engines)


@dataclass(frozen=True)
class ChipSpec:
    """All that the circuit of a network depends on.

    Parameters
    ----------
    network
        Layers, formats and parameters.
    folding
        Engines.
    learning
        How the network learns; None: it does not, and the circuit has nothing for it.
    """

    network: NetworkSpec
    folding: Folding
    learning: LearningNetwork | None = None

    def __post_init__(self) -> None:
        layers = len(self.network.layers)
        if self.folding.layer_count != layers:
            raise ValueError(f"folding must serve {layers} layers, not {self.folding.layer_count}")
        if self.learning is not None and self.learning.network != self.network:
            raise ValueError("learning must be of the same network")
        for layer in self.network.layers:
            if max(layer.u_format.width, layer.x_format.width, layer.rate_format.width) > 32:
                raise ValueError(f"{layer.name}: words must fit 32 bits")
            if max(layer.weight_width, layer.scale_width, layer.constant_width) > 32:
                raise ValueError(f"{layer.name}: parameters must fit 32 bits")
            if isinstance(layer.activation, Table) and layer.rate_format.width > 31:
                raise ValueError(f"{layer.name}: steps of its table must fit 32 bits")
        self._check_learning()

    def _check_learning(self) -> None:
        if self.learning is None:
            return
        for engine in self.folding.engines:
            kinds = {self.learning.learning[k].time_constants for k in engine.layers}
            if len(kinds) > 1:
                raise ValueError("time constants must learn in all layers of an engine or in none")

    @cached_property
    def engines(self) -> tuple[Engine, ...]:
        """Geometry of each engine."""
        plans = [
            (engine.pe, engine.simd, tuple(sorted(engine.layers)))
            for engine in self.folding.engines
        ]
        learning = self.learning.learning if self.learning else ()
        return lay_out_engines(self.network.layers, plans, learning)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Ways that frames take: into each layer, then back into each recurrent one."""
        return lay_out_edges(self.network.layers, self.engines)

    def edge(self, layer: int) -> Edge:
        """Way of the frames that a layer hears from below."""
        return self.edges[layer]

    @cached_property
    def frames(self) -> tuple[Frames, ...]:
        """Memories of frames, each of one or more edges."""
        return share_frames(self.edges, self.engines)

    def heard(self, engine: Engine) -> tuple[Frames, ...]:
        """Memories of frames that an engine reads."""
        return tuple(frames for frames in self.frames if frames.reader == engine.index)

    @cached_property
    def sums(self) -> tuple[SumsEdge, ...]:
        """Ways that sums of errors take, where it learns: down, then back into the same layer."""
        return lay_out_sums(self.engines)

    @cached_property
    def shared_sums(self) -> tuple[Sums, ...]:
        """Memories of sums, each of one or more edges."""
        return share_sums(self.sums, self.engines)

    def engine_of(self, layer: int) -> tuple[Engine, int]:
        """Engine that serves a layer, and the layer's place in its order of work."""
        for engine in self.engines:
            for place, piece in enumerate(engine.passes):
                if piece.layer == layer:
                    return engine, place
        raise ValueError(f"layer must be in 0..{len(self.network.layers) - 1}, not {layer}")

    @property
    def output_slots(self) -> int:
        """Frames that the output may hold."""
        top = len(self.network.layers) - 1
        engine, place = self.engine_of(top)
        piece, period = engine.passes[place], max(self.bound, 1)
        return 2 + -(-(piece.fold + engine.latency + piece.spec.outputs) // period)

    @property
    def bound(self) -> int:
        """Cycles per step below which no schedule can get: the busiest engine or stream."""
        first, last = self.network.layers[0], self.network.layers[-1]
        return max(first.inputs, last.outputs, *(engine.bound for engine in self.engines))
