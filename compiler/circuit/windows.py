"""Memories on the bus, and each layer's window on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vle.compiler.activation import Table
from vle.compiler.circuit.edges import Edge, Sums
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine, Pass
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import SUM_WIDTH
from vle.compiler.learning.time_constants import LOG_WIDTH, SENSITIVITY_WIDTH
from vle.compiler.learning.traces import GUARD as TRACE_GUARD

NEURON_KINDS = ("scale", "bias", "alpha", "rho", "u")
LOG_KINDS = ("log_m", "log_r")
SENSE_KINDS = ("sense_low", "sense_m", "sense_r")
TRACE_KINDS = ("trace_low", "trace_bar")
ERROR_KINDS = ("v", "kappa", "beta")
SUM_KINDS = ("down", "loop_error")
SIGNED = ("bias", "u", "v", "prime", "rate", *SENSE_KINDS)


@dataclass(frozen=True)
class Window:
    """Words of one layer in a memory, reachable while the chip is halted and idle.

    Word `i` of a plain window is at address `base + i`. A window with `lanes` holds words side by
    side: lane `p` of word `w` is at `base + w * 2**ceil(log2(lanes)) + p`. In a weight window
    row `i`, column `j` is word `(i // pe) * tiles + j // simd`, lane `(i % pe) * simd + j % simd`;
    in a rate window column `j` is word `(first + j) // simd`, lane `(first + j) % simd`, of the
    frame last computed.

    Parameters
    ----------
    name
        ``layer<l>.<kind>``.
    kind
        ``weight scale bias alpha rho u rate loop table_value table_delta``; ``rate``: what the
        layer above will hear of this one, ``loop``: what it will hear of itself. Where it learns
        also ``v prime kappa beta down loop_error log_m log_r sense_low sense_m sense_r``, and
        the ``rate`` of the top layer, which its next targets are compared with; ``down``: sums of
        errors for the layer below, ``loop_error``: for itself, laid out as frames are; and where it
        hears filtered inputs, ``trace_low trace_bar``, laid out as weights are, row `i` that of
        group `i`.
    engine, layer
        Whose.
    base
        Word address of its first word.
    count
        Addresses from `base` on.
    width, signed
        Of a word, the layer's own where its engine's are wider.
    high
        Largest word that the layer's circuit is made for: an `alpha` is 1 at most.
    lanes, pe, simd, tiles, first
        Layout, as above.
    """

    name: str
    kind: str
    engine: int
    layer: int
    base: int
    count: int
    width: int
    signed: bool
    high: int
    lanes: int = 1
    pe: int = 1
    simd: int = 1
    tiles: int = 0
    first: int = 0


@dataclass(frozen=True)
class Region:
    """A memory on the bus: `depth` words of `lanes` from `base` on.

    Its `2**address_width` addresses begin at a multiple of their number, the lane in the lowest
    bits; those beyond depth and lanes answer nothing.
    """

    kind: str
    owner: int
    base: int
    depth: int
    lanes: int = 1
    detail: int = 0

    @property
    def address_width(self) -> int:
        """Bits of an address within."""
        return max(1, (self.depth - 1).bit_length()) + lane_bits(self.lanes)


def lane_bits(lanes: int) -> int:
    """Bits of an address that choose the lane."""
    return (lanes - 1).bit_length()


def neuron_kinds(engine: Engine) -> tuple[str, ...]:
    """Words per neuron that the neuron pipeline holds."""
    if not engine.learns:
        return NEURON_KINDS
    if not engine.learns_time_constants:
        return ("bias", "alpha", "rho", "u")
    filtered = any(learning.filtered for learning in engine.learning)
    return ("bias", "u", *LOG_KINDS, *(SENSE_KINDS if filtered else ()))


def error_kinds(engine: Engine) -> tuple[str, ...]:
    """Words per neuron that the error unit holds."""
    if not engine.learns:
        return ()
    return ERROR_KINDS[:1] if engine.learns_time_constants else ERROR_KINDS


def tables(engine: Engine) -> tuple[Table, ...]:
    """Distinct tables of an engine, in the order of work."""
    found: list[Table] = []
    for spec in engine.layers:
        if isinstance(spec.activation, Table) and spec.activation not in found:
            found.append(spec.activation)
    return tuple(found)


def lay_out_regions(chip: ChipSpec, begin: int) -> tuple[Region, ...]:
    """Place all memories from `begin` on, each aligned to its size, the small ones first."""
    regions, base = [], begin
    for region in sorted(_memories(chip), key=lambda region: region.address_width):
        width = region.address_width
        base = -(-base >> width) << width
        regions.append(replace(region, base=base))
        base += 1 << width
    return tuple(regions)


def _memories(chip: ChipSpec) -> Iterator[Region]:
    """All memories, not placed yet."""
    for engine in chip.engines:
        yield Region("weight", engine.index, 0, engine.fold, engine.lanes)
        for kind in neuron_kinds(engine):
            yield Region(kind, engine.index, 0, engine.neurons)
        for place, spec in enumerate(tables(engine)):
            yield Region("table_value", engine.index, 0, len(spec.value), detail=place)
            yield Region("table_delta", engine.index, 0, len(spec.value), detail=place)
    for place, edge in enumerate(chip.edges):
        if edge.source is not None:
            yield Region("frame", place, 0, edge.tiles, edge.simd)
    if chip.learning is not None:
        yield from _learning_memories(chip)


def _learning_memories(chip: ChipSpec) -> Iterator[Region]:
    """List the memories that learning adds, not placed yet."""
    for engine in chip.engines:
        for kind in (*error_kinds(engine), "prime"):
            yield Region(kind, engine.index, 0, engine.neurons)
        if engine.trace_groups:
            lanes = engine.trace_groups
            yield Region("trace_low", engine.index, 0, engine.trace_columns, lanes)
            yield Region("trace_bar", engine.index, 0, engine.trace_tiles, lanes * engine.simd)
    yield Region("top_rate", len(chip.network.layers) - 1, 0, chip.network.layers[-1].outputs)
    for place, sums in enumerate(chip.shared_sums):
        yield Region(sums.kind, place, 0, sums.depth, sums.simd)


def windows_of(chip: ChipSpec, region: Region) -> list[Window]:
    """Show each layer's part of a memory."""
    if region.kind in ("frame", "top_rate", *SUM_KINDS):
        return _windows_between(chip, region)
    engine = chip.engines[region.owner]
    if region.kind == "weight":
        return [_weight_window(region, engine, piece) for piece in engine.passes]
    if region.kind in (*neuron_kinds(engine), *error_kinds(engine), "prime"):
        return [_neuron_window(region, engine, piece) for piece in engine.passes]
    if region.kind in TRACE_KINDS:
        return _trace_windows(region, engine)
    delta = region.kind == "table_delta"
    return [
        Window(
            name=f"layer{piece.layer}.{region.kind}",
            kind=region.kind,
            engine=engine.index,
            layer=piece.layer,
            base=region.base,
            count=region.depth,
            width=piece.spec.rate_format.width + delta,
            signed=True,
            high=(piece.spec.rate_format.high << delta) + delta,
        )
        for piece in engine.passes
        if piece.spec.activation == tables(engine)[region.detail]
    ]


def _windows_between(chip: ChipSpec, region: Region) -> list[Window]:
    """Show a memory of no engine's own."""
    if region.kind == "frame":
        return [_frame_window(chip, region, chip.edges[region.owner])]
    if region.kind == "top_rate":
        return [_top_window(chip, region)]
    return _sums_windows(region, chip.shared_sums[region.owner])


def _frame_window(chip: ChipSpec, region: Region, edge: Edge) -> Window:
    kind = "loop" if edge.recurrent else "rate"
    return Window(
        name=f"layer{edge.source}.{kind}",
        kind=kind,
        engine=chip.engine_of(edge.sink)[0].index,
        layer=edge.sink if edge.source is None else edge.source,
        base=region.base,
        count=edge.tiles << lane_bits(edge.simd),
        width=edge.format.width,
        signed=True,
        high=edge.format.high,
        lanes=edge.simd,
        simd=edge.simd,
        tiles=edge.tiles,
        first=edge.first,
    )


def _top_window(chip: ChipSpec, region: Region) -> Window:
    """Show rates of the top."""
    layer, top = region.owner, chip.network.layers[region.owner].rate_format
    return Window(
        name=f"layer{layer}.rate",
        kind="rate",
        engine=chip.engine_of(layer)[0].index,
        layer=layer,
        base=region.base,
        count=region.depth,
        width=top.width,
        signed=True,
        high=top.high,
        tiles=region.depth,
    )


def _sums_windows(region: Region, sums: Sums) -> list[Window]:
    """Show the sums of each layer on their way."""
    return [
        Window(
            name=f"layer{edge.source}.{edge.kind}",
            kind=edge.kind,
            engine=sums.writer,
            layer=edge.source,
            base=region.base + (begin << lane_bits(sums.simd)),
            count=edge.tiles << lane_bits(sums.simd),
            width=SUM_WIDTH,
            signed=True,
            high=(1 << SUM_WIDTH - 1) - 1,
            lanes=sums.simd,
            simd=sums.simd,
            tiles=edge.tiles,
            first=edge.first,
        )
        for edge, begin in zip(sums.edges, sums.begins, strict=True)
    ]


def _weight_window(region: Region, engine: Engine, piece: Pass) -> Window:
    return Window(
        name=f"layer{piece.layer}.weight",
        kind="weight",
        engine=engine.index,
        layer=piece.layer,
        base=region.base + (piece.weight_base << lane_bits(engine.lanes)),
        count=piece.fold << lane_bits(engine.lanes),
        width=piece.spec.weight_width,
        signed=True,
        high=(1 << piece.spec.weight_width - 1) - 1,
        lanes=engine.lanes,
        pe=engine.pe,
        simd=engine.simd,
        tiles=piece.tiles,
    )


def _trace_windows(region: Region, engine: Engine) -> list[Window]:
    """Show the traces of each layer that hears filtered inputs: row `i` is that of group `i`."""
    windows, begin, low = [], 0, region.kind == "trace_low"
    for piece in engine.passes:
        if piece.learning is None or not piece.learning.filtered:
            continue
        words = piece.spec.columns if low else piece.tiles
        width = piece.learning.heard_width(piece.spec) + (TRACE_GUARD if low else 0)
        windows.append(
            Window(
                name=f"layer{piece.layer}.{region.kind}",
                kind=region.kind,
                engine=engine.index,
                layer=piece.layer,
                base=region.base + (begin << lane_bits(region.lanes)),
                count=words << lane_bits(region.lanes),
                width=width,
                signed=True,
                high=(1 << width - 1) - 1,
                lanes=region.lanes,
                pe=engine.trace_groups,
                simd=1 if low else piece.simd,
                tiles=words,
            )
        )
        begin += words
    return windows


def _neuron_window(region: Region, engine: Engine, piece: Pass) -> Window:
    spec, kind = piece.spec, region.kind
    signed = kind in SIGNED
    width = _width(piece, kind)
    high = (1 << width - signed) - 1
    if kind == "alpha":
        high = min(high, 1 << spec.alpha_shift)
    if piece.learning is not None and kind == "beta":
        high = min(high, 1 << piece.learning.beta_shift)
    if piece.learning is not None and kind in LOG_KINDS:
        high = piece.learning.log_high
    return Window(
        name=f"layer{piece.layer}.{kind}",
        kind=kind,
        engine=engine.index,
        layer=piece.layer,
        base=region.base + piece.neuron_base,
        count=spec.outputs,
        width=width,
        signed=signed,
        high=high,
    )


def _width(piece: Pass, kind: str) -> int:
    """Bits of a layer's word."""
    spec = piece.spec
    widths = {"scale": spec.scale_width, "alpha": spec.constant_width, "rho": spec.constant_width}
    widths |= dict.fromkeys(("kappa", "beta"), spec.constant_width)
    widths |= dict.fromkeys(LOG_KINDS, LOG_WIDTH) | dict.fromkeys(SENSE_KINDS, SENSITIVITY_WIDTH)
    if piece.learning is not None:
        widths |= {"prime": PRIME_WIDTH, "v": piece.learning.v_width}
    return widths.get(kind, spec.u_format.width)
