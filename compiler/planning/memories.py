"""Every memory of a circuit: its words and their number, as the generated Verilog has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import tables
from vle.compiler.circuit.targets import target_spec
from vle.compiler.circuit.windows import error_kinds, neuron_kinds
from vle.compiler.learning import errors, time_constants, top, traces
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import sum_width
from vle.compiler.learning.updates import SIGNAL_WIDTH

LONG_ROW = 3  # tiles from which a row's sums of errors lie in a memory rather than in registers


class MemoryNeed(NamedTuple):
    """One memory.

    Parameters
    ----------
    kind
        What it holds.
    owner
        Index of the engine, edge or layer.
    width, depth, banks
        Bits of a word, words, and how many lie side by side under one address.
    """

    kind: str
    owner: int
    width: int
    depth: int
    banks: int = 1

    @property
    def bits(self) -> int:
        """Bits in all."""
        return self.width * self.depth * self.banks


def memories(chip: ChipSpec) -> tuple[MemoryNeed, ...]:
    """Return all memories of a chip's core, queues among them."""
    return (*_all(chip),)


def _all(chip: ChipSpec) -> Iterator[MemoryNeed]:
    for engine in chip.engines:
        yield from _of_engine(engine)
        if engine.learns:
            yield from _of_learning(chip, engine)
    for place, edge in enumerate(chip.edges):
        words = edge.slots << max(1, (edge.tiles - 1).bit_length())
        yield MemoryNeed("frames", place, edge.format.width, words, edge.simd)
    for place, sums in enumerate(chip.sums):
        yield MemoryNeed("sums", place, errors.SUM_WIDTH, sums.tiles, sums.simd)
    last = chip.network.layers[-1]
    words = chip.output_slots * last.outputs + 1
    yield MemoryNeed("output", 0, last.rate_format.width + 2, words)
    if chip.learning is not None:
        spec = target_spec(chip.learning)
        yield MemoryNeed("targets", 0, spec.width, spec.slots * spec.stride)


def _of_engine(engine: Engine) -> Iterator[MemoryNeed]:
    index, neurons = engine.index, engine.neurons
    yield MemoryNeed("weights", index, engine.weight_width, engine.fold, engine.lanes)
    widths = {"scale": engine.scale_width, "bias": engine.u_width, "u": engine.u_width}
    widths |= dict.fromkeys(("log_m", "log_r"), time_constants.LOG_WIDTH)
    widths |= dict.fromkeys(("sense_low", "sense_m", "sense_r"), time_constants.SENSITIVITY_WIDTH)
    for kind in neuron_kinds(engine):
        yield MemoryNeed(kind, index, widths.get(kind, engine.constant_width), neurons)
    found = tables(engine)
    if found:
        words = len(found) << max(table.index_width for table in found)
        yield MemoryNeed("table", index, 2 * engine.rate_width + 1, words)
    groups = engine.pe * engine.acc_width + engine.flag_count
    yield MemoryNeed("queue", index, groups, engine.queue_depth)


def _of_learning(chip: ChipSpec, engine: Engine) -> Iterator[MemoryNeed]:
    index, neurons = engine.index, engine.neurons
    senders = [piece for piece in engine.passes if piece.sends or piece.loops]
    if any(piece.groups > 1 and piece.tiles >= LONG_ROW for piece in senders):
        width = max(
            sum_width(p.spec.outputs, p.spec.weight_width, engine.learning[k].error_width)
            for k, p in enumerate(engine.passes)
            if p in senders
        )
        tiles = max(piece.tiles for piece in senders)
        yield MemoryNeed("columns", index, width, tiles, engine.simd)
    for kind in error_kinds(engine):
        width = engine.v_width if kind == "v" else engine.constant_width
        yield MemoryNeed(kind, index, width, neurons)
    yield MemoryNeed("e", index, engine.error_width, engine.groups, engine.pe)
    yield MemoryNeed("signal", index, SIGNAL_WIDTH, engine.groups, engine.pe)
    yield MemoryNeed("prime", index, PRIME_WIDTH, neurons)
    yield MemoryNeed("steps", index, 2, sum(edge.slots for edge in chip.edges) + 2)
    if engine.passes[-1].top:
        yield from _of_top(chip, index)
    if engine.learns_time_constants:
        yield from _of_time_constants(engine)
    if engine.trace_groups:
        yield from _of_traces(engine)


def _of_top(chip: ChipSpec, index: int) -> Iterator[MemoryNeed]:
    last = chip.network.layers[-1]
    yield MemoryNeed("rates", index, last.rate_format.width, last.outputs)
    if chip.learning is not None and chip.learning.loss == "cross_entropy":
        yield MemoryNeed("probabilities", index, top.PROBABILITY_BITS + 2, last.outputs)
        yield from _table("exp2", index, top.EXP2.tolist())


def _table(kind: str, index: int, entries: list[int]) -> Iterator[MemoryNeed]:
    """Entries and the steps between them."""
    steps = [b - a for a, b in pairwise(entries)]
    width = max(entries[:-1]).bit_length() + max(steps).bit_length()
    yield MemoryNeed(kind, index, width, len(steps))


def _of_time_constants(engine: Engine) -> Iterator[MemoryNeed]:
    filtered = all(learning.filtered for learning in engine.learning)
    yield MemoryNeed("tasks", engine.index, SIGNAL_WIDTH * (2 - filtered), engine.neurons)
    for kind in ("alpha", "rho", "kappa", "beta"):
        yield from _table(f"{kind} of logarithms", engine.index, time_constants.EXP2.tolist())


def _of_traces(engine: Engine) -> Iterator[MemoryNeed]:
    index, groups, width = engine.index, engine.trace_groups, engine.operand_width
    lanes = engine.simd
    yield MemoryNeed("inputs", index, width, engine.trace_tiles, lanes)
    yield MemoryNeed("trace_low", index, width + traces.GUARD, engine.trace_columns, groups)
    yield MemoryNeed("trace_bar", index, width, 2 * engine.trace_tiles, lanes * groups)
    filtered = sum(learning.filtered for learning in engine.learning)
    yield MemoryNeed("trace constants", index, 2 * engine.constant_width, filtered, groups)
