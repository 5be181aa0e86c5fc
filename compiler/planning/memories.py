"""Every memory of a circuit: its words and their number, as the generated Verilog has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import HALF_COUNT, counter_names, tables
from vle.compiler.circuit.targets import target_spec
from vle.compiler.circuit.windows import LOG_KINDS, error_kinds, neuron_kinds
from vle.compiler.learning import errors, time_constants, top, traces
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import sum_width
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.compiler.planning.mapping import Family, Layout, Style, layout

PROBED = (64, 15)  # bits of a probed word with all that is said of it, and how many may wait
LONG_ROW = 4  # tiles from which a row's sums of errors lie in a memory rather than in registers


class MemoryNeed(NamedTuple):
    """One memory.

    Parameters
    ----------
    kind
        What it holds.
    owner
        Index of the engine, of the memory of frames or sums, or of the layer.
    width, depth, banks
        Bits of a word that is written at once, words, and how many lie side by side under one
        address.
    readers
        Ports that read it, each of which takes cells of its own.
    at_once
        Whether a word is read in the clock of its address.
    """

    kind: str
    owner: int
    width: int
    depth: int
    banks: int = 1
    readers: int = 1
    at_once: bool = False

    @property
    def bits(self) -> int:
        """Bits in all, each counted once."""
        return self.width * self.depth * self.banks

    def layout(self, family: Family, *, huge: bool = False) -> Layout:
        """How it lies in the cells of a family, for each of its readers; `huge`: if of weights."""
        style = Style.HUGE if huge and self.kind == "weights" else None
        words = self.width, self.depth, self.banks
        return layout(*words, family, style=style, at_once=self.at_once)

    def blocks(self, family: Family) -> int:
        """Count the memory blocks."""
        found = self.layout(family)
        return self.readers * found.cells if found.style is Style.BLOCK else 0


def memories(chip: ChipSpec) -> tuple[MemoryNeed, ...]:
    """Return all memories of a chip, queues among them."""
    return (*_all(chip),)


def _all(chip: ChipSpec) -> Iterator[MemoryNeed]:
    for engine in chip.engines:
        yield from _of_engine(engine)
        if engine.learns:
            yield from _of_learning(chip, engine)
    for place, frames in enumerate(chip.frames):
        yield MemoryNeed("frames", place, frames.width, frames.depth, frames.simd)
    for place, sums in enumerate(chip.shared_sums):
        yield MemoryNeed("sums", place, errors.SUM_WIDTH, sums.depth, sums.simd)
    last = chip.network.layers[-1]
    words = chip.output_slots * last.outputs + 1
    yield MemoryNeed("output", 0, last.rate_format.width + 2, words)
    counts = counter_names(len(chip.network.layers), learns=chip.learning is not None)
    yield MemoryNeed("counts", 0, HALF_COUNT, 2 * len(counts))
    if chip.learning is not None:
        spec = target_spec(chip.learning)
        yield MemoryNeed("targets", 0, spec.width, spec.slots * spec.stride)
        yield MemoryNeed("probes", 0, *PROBED)


def _of_engine(engine: Engine) -> Iterator[MemoryNeed]:
    index, neurons = engine.index, engine.neurons
    yield MemoryNeed("weights", index, engine.weight_width, engine.fold, engine.lanes)
    widths = {"scale": engine.scale_width, "bias": engine.u_width, "u": engine.u_width}
    widths |= dict.fromkeys(("log_m", "log_r"), time_constants.LOG_WIDTH)
    widths |= dict.fromkeys(("sense_low", "sense_m", "sense_r"), time_constants.SENSITIVITY_WIDTH)
    for kind in neuron_kinds(engine):
        width = widths.get(kind, engine.constant_width)
        readers = 3 if kind in LOG_KINDS else 1
        yield MemoryNeed(kind, index, width, neurons, readers=readers)
    found = tables(engine)
    if found:
        words = len(found) << max(table.index_width for table in found)
        yield MemoryNeed("table values", index, engine.rate_width, words)
        yield MemoryNeed("table steps", index, engine.rate_width + 1, words)
    groups = engine.pe * engine.acc_width + engine.flag_count
    yield MemoryNeed("queue", index, groups, engine.queue_depth, at_once=True)


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
        yield MemoryNeed("columns", index, width * engine.simd, tiles)
    for kind in error_kinds(engine):
        width = engine.v_width if kind == "v" else engine.constant_width
        yield MemoryNeed(kind, index, width, neurons)
    yield MemoryNeed("e", index, engine.error_width, engine.groups, engine.pe)
    yield MemoryNeed("signal", index, SIGNAL_WIDTH, engine.groups, engine.pe, readers=2)
    yield MemoryNeed("prime", index, PRIME_WIDTH, neurons)
    yield MemoryNeed("steps", index, 2, sum(edge.slots for edge in chip.edges) + 2)
    if engine.passes[-1].top:
        yield from _of_top(chip, index)
    if engine.learns_time_constants:
        yield from _of_time_constants(engine)
    if engine.trace_groups:
        yield from _of_traces(engine)


def _of_top(chip: ChipSpec, index: int) -> Iterator[MemoryNeed]:
    last, learning = chip.network.layers[-1], chip.learning
    softmax = learning is not None and learning.loss == "cross_entropy"
    width = last.rate_format.width
    yield MemoryNeed("rates", index, width, last.outputs, readers=1 + softmax)
    if softmax:
        yield MemoryNeed("probabilities", index, top.PROBABILITY_BITS + 2, last.outputs)
        yield from _table("exp2", index, top.EXP2.tolist())


def _table(kind: str, index: int, entries: list[int]) -> Iterator[MemoryNeed]:
    """Entries and the steps between them."""
    steps = [b - a for a, b in pairwise(entries)]
    for name, words in (("entries", entries[:-1]), ("steps", steps)):
        yield MemoryNeed(f"{kind}, {name}", index, max(words).bit_length(), len(words))


def _of_time_constants(engine: Engine) -> Iterator[MemoryNeed]:
    filtered = all(learning.filtered for learning in engine.learning)
    yield MemoryNeed("tasks", engine.index, SIGNAL_WIDTH * (2 - filtered), engine.neurons)
    for kind in ("alpha", "rho", "kappa", "beta"):
        yield from _table(f"{kind} of logarithms", engine.index, time_constants.EXP2.tolist())


def _of_traces(engine: Engine) -> Iterator[MemoryNeed]:
    index, groups, width = engine.index, engine.trace_groups, engine.operand_width
    lanes = engine.simd
    yield MemoryNeed("inputs", index, width * lanes, engine.trace_tiles)
    yield MemoryNeed("trace_low", index, width + traces.GUARD, engine.trace_columns, groups)
    yield MemoryNeed("trace_bar", index, width, 2 * engine.trace_tiles, lanes * groups)
    filtered = sum(learning.filtered for learning in engine.learning)
    yield MemoryNeed("trace constants", index, engine.constant_width, filtered, 2 * groups)
