"""The ways that frames of rates take between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from vle.compiler.circuit.geometry import Engine
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec

LEARNING_SLOTS = 3  # of an edge between layers that learn; see `lay_out_edges`


@dataclass(frozen=True)
class Edge:
    """The way of a frame of rates to the layer that hears it.

    A frame lies in words of `simd` lanes, as the sink reads it: column `j` of the frame in lane
    `(first + j) % simd` of word `(first + j) // simd`.

    Parameters
    ----------
    source, sink
        Layers; source None: the input stream.
    format
        Of a rate.
    columns
        Rates of a frame.
    first
        Lane of the first column: recurrent columns follow the input's without a gap.
    simd
        Lanes, those of the sink's engine.
    slots
        Frames held.
    reader_tiles
        Words of a row that the sink has read when it comes to the end of this frame.
    """

    source: int | None
    sink: int
    format: Fixed
    columns: int
    first: int
    simd: int
    slots: int
    reader_tiles: int

    @property
    def recurrent(self) -> bool:
        """Whether the layer hears itself."""
        return self.source == self.sink

    @property
    def tiles(self) -> int:
        """Words of a frame."""
        return -(-(self.first + self.columns) // self.simd)

    @property
    def tile_bits(self) -> int:
        """Bits of the number of a word of a frame."""
        return max(1, (self.tiles - 1).bit_length())


@dataclass(frozen=True)
class Frames:
    """Frames in one memory: one engine, or the input, writes them, one engine reads them.

    Each edge's are written once a step, and read once, in the order of work of both engines.

    Parameters
    ----------
    writer, reader
        Indices of the engines; writer None: the input stream.
    edges
        In the order of work, all of one format's width, all recurrent or none.
    """

    writer: int | None
    reader: int
    edges: tuple[Edge, ...]

    @property
    def width(self) -> int:
        """Bits of a rate."""
        return self.edges[0].format.width

    @property
    def simd(self) -> int:
        """Rates in a word."""
        return self.edges[0].simd

    @property
    def recurrent(self) -> bool:
        """Whether layers hear themselves in them."""
        return self.edges[0].recurrent

    @property
    def depth(self) -> int:
        """Words."""
        return sum(edge.slots << edge.tile_bits for edge in self.edges)

    @property
    def tile_bits(self) -> int:
        """Bits of the number of a word of a frame, the longest one's."""
        return max(edge.tile_bits for edge in self.edges)

    @cached_property
    def begins(self) -> tuple[tuple[int, ...], ...]:
        """Where frames begin, of each edge and in each slot.

        The longest come first, so that each begins at a multiple of its own `2**tile_bits`.
        """
        order = sorted(range(len(self.edges)), key=lambda k: -self.edges[k].tile_bits)
        found: list[tuple[int, ...]] = [()] * len(self.edges)
        begin = 0
        for k in order:
            bits, slots = self.edges[k].tile_bits, self.edges[k].slots
            found[k] = tuple(begin + (slot << bits) for slot in range(slots))
            begin += slots << bits
        return tuple(found)


@dataclass(frozen=True)
class SumsEdge:
    """The way of the sums of a layer's errors, over its rows, to the layer that hears them.

    Parameters
    ----------
    kind
        ``down``: to the layer below; ``loop_error``: through recurrent weights, to itself.
    source, sink
        Layers.
    columns, simd, first
        Sums, and how they lie, as in `Edge`; `simd` is that of the source's engine.
    """

    kind: str
    source: int
    sink: int
    columns: int
    simd: int
    first: int

    @property
    def tiles(self) -> int:
        """Words of sums."""
        return -(-(self.first + self.columns) // self.simd)


@dataclass(frozen=True)
class Sums:
    """Sums in one memory: one engine makes them, one hears them, a frame of each edge per step.

    Parameters
    ----------
    kind
        Of all edges.
    writer, reader
        Indices of the engines.
    edges
        In the order of work, in which their frames lie.
    """

    kind: str
    writer: int
    reader: int
    edges: tuple[SumsEdge, ...]

    @property
    def simd(self) -> int:
        """Sums in a word."""
        return self.edges[0].simd

    @property
    def depth(self) -> int:
        """Words."""
        return sum(edge.tiles for edge in self.edges)

    @property
    def begins(self) -> tuple[int, ...]:
        """Where the frame of each edge begins."""
        return (0, *accumulate(edge.tiles for edge in self.edges[:-1]))


def lay_out_sums(engines: Sequence[Engine]) -> tuple[SumsEdge, ...]:
    """Lay out the sums that learning sends down, then those that stay, by layer."""
    pieces = sorted((p for engine in engines for p in engine.passes), key=lambda p: p.layer)
    down = [
        SumsEdge("down", p.layer, p.layer - 1, p.spec.inputs, p.simd, 0) for p in pieces if p.sends
    ]
    loops = [
        SumsEdge("loop_error", p.layer, p.layer, p.spec.outputs, p.simd, p.spec.inputs % p.simd)
        for p in pieces
        if p.loops
    ]
    return (*down, *loops)


def lay_out_edges(layers: Sequence[LayerSpec], engines: Sequence[Engine]) -> tuple[Edge, ...]:
    """Edges into each layer in turn, then the recurrent ones.

    A layer that learns begins step `t` after the layer above has begun to send sums of step
    `t - 1`, and so has read the frame of step `t - 3` to its end: three slots never bind.
    """
    places = {piece.layer: (engine, piece) for engine in engines for piece in engine.passes}
    period = max(layers[0].inputs, layers[-1].outputs, *(engine.bound for engine in engines))
    edges = []
    for sink, spec in enumerate(layers):
        engine, piece = places[sink]
        busy = spec.inputs + piece.fold
        if sink:
            source, below = places[sink - 1]
            busy = below.fold + source.latency + piece.fold
        slots = 2 + -(-busy // period)
        if sink and engine.learns:
            slots = min(slots, LEARNING_SLOTS)
        below_index = sink - 1 if sink else None
        tiles = -(-spec.inputs // engine.simd)
        edges.append(
            Edge(below_index, sink, spec.x_format, spec.inputs, 0, engine.simd, slots, tiles)
        )
    for sink, spec in enumerate(layers):
        if spec.recurrent:
            engine, piece = places[sink]
            first, rates = spec.inputs % engine.simd, spec.rate_format
            edges.append(Edge(sink, sink, rates, spec.outputs, first, engine.simd, 2, piece.tiles))
    return tuple(edges)


def share_frames(edges: Sequence[Edge], engines: Sequence[Engine]) -> tuple[Frames, ...]:
    """Put edges of the same writer and reader into one memory, where their words are alike."""
    engine = _engine_of(engines)
    found: dict[tuple[int | None, int, bool, int], list[Edge]] = {}
    for edge in edges:
        writer = None if edge.source is None else engine[edge.source]
        key = writer, engine[edge.sink], edge.recurrent, edge.format.width
        found.setdefault(key, []).append(edge)
    return tuple(Frames(key[0], key[1], (*alike,)) for key, alike in found.items())


def share_sums(edges: Sequence[SumsEdge], engines: Sequence[Engine]) -> tuple[Sums, ...]:
    """Put sums of the same kind, writer and reader into one memory."""
    engine = _engine_of(engines)
    found: dict[tuple[str, int, int], list[SumsEdge]] = {}
    for edge in edges:
        found.setdefault((edge.kind, engine[edge.source], engine[edge.sink]), []).append(edge)
    return tuple(Sums(*key, (*alike,)) for key, alike in found.items())


def _engine_of(engines: Sequence[Engine]) -> dict[int, int]:
    return {piece.layer: engine.index for engine in engines for piece in engine.passes}
