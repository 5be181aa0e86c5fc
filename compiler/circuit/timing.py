"""How many clocks a step takes, before anything is simulated; equal to what the Verilog takes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vle.compiler.circuit.error_timing import add_error_passes, connect_errors
from vle.compiler.circuit.eventgraph import EventGraph, GroupEvents, add_groups
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import LOOKED_AHEAD, QUEUE_LATENCY
from vle.compiler.circuit.passes import PassEvents


@dataclass(frozen=True)
class Timing:
    """Events of a chip whose input is always there and whose output is always taken.

    Parameters
    ----------
    graph
        All events of a step.
    input
        First word of the input frame accepted.
    output
        Last word of the output frame handed over.
    """

    graph: EventGraph
    input: int
    output: int

    def output_times(self, steps: int) -> list[int]:
        """Cycle of the last word of each output frame; the first input word's is cycle 0."""
        return [now[self.output] for now in self.graph.times(steps)]


@dataclass(frozen=True)
class EngineCycles:
    """Where the cycles of an engine go, per step.

    Parameters
    ----------
    engine
        Its index.
    synapses
        Cycles in which it works on synapses.
    neurons
        Cycles in which its neuron pipeline works.
    stalls
        Cycles in which it issues nothing: it waits for its neurons, for frames, for other engines.
    """

    engine: int
    synapses: int
    neurons: int
    stalls: Fraction


@dataclass(frozen=True)
class Breakdown:
    """Where the cycles go: engines, and the beats of the streams."""

    cycles_per_step: Fraction
    engines: tuple[EngineCycles, ...]
    input_beats: int
    output_beats: int


def steady_cycles(chip: ChipSpec) -> Fraction:
    """Cycles per step at full throughput."""
    return timing(chip).graph.period(Fraction(chip.bound))


def latency(chip: ChipSpec) -> int:
    """Cycles from the first input word to the last word of the first output frame."""
    return timing(chip).output_times(1)[0]


def breakdown(chip: ChipSpec) -> Breakdown:
    """Where the cycles of a step go."""
    steady = steady_cycles(chip)
    return Breakdown(
        steady,
        tuple(EngineCycles(e.index, e.fold, e.neurons, steady - e.fold) for e in chip.engines),
        chip.network.layers[0].inputs,
        chip.network.layers[-1].outputs,
    )


def timing(chip: ChipSpec) -> Timing:
    """Events of a whole chip."""
    graph = EventGraph()
    first, output_slots = chip.network.layers[0], chip.output_slots
    frame = graph.event()
    graph.after(frame, frame, first.inputs, 1)
    errors = add_error_passes(graph, chip, frame)
    passes = _add_engines(graph, chip, frame)
    if errors:
        connect_errors(graph, chip, errors, passes)
    graph.after(frame, passes[0].last_issue, passes[0].piece.tiles, chip.edge(0).slots)
    _add_edges(graph, chip, passes)
    top, output = passes[len(passes) - 1], graph.event()
    ready = top.last_row + top.engine.rate_stage + QUEUE_LATENCY
    graph.after(output, top.last_enter, ready)
    graph.after(output, output, top.piece.spec.outputs, 1)
    graph.after(top.begin, output, 1 + LOOKED_AHEAD, output_slots)
    return Timing(graph, frame, output)


def _add_engines(graph: EventGraph, chip: ChipSpec, frame: int) -> dict[int, PassEvents]:
    """Add the passes of all engines; each engine's first waits for the input frame."""
    passes: dict[int, PassEvents] = {}
    for engine in chip.engines:
        groups = [(piece.tiles, rows) for piece in engine.passes for rows in piece.group_rows]
        events = add_groups(
            graph, groups, engine.synapse_stages, engine.queue_depth, engine.state_loop
        )
        passes |= _split(engine, events)
        graph.after(events.issue[0], frame, chip.network.layers[0].inputs + LOOKED_AHEAD)
    return passes


def _split(engine: Engine, events: GroupEvents) -> dict[int, PassEvents]:
    found, begin = {}, 0
    for piece in engine.passes:
        groups = slice(begin, begin + piece.groups)
        found[piece.layer] = PassEvents(engine, piece, events.issue[groups], events.enter[groups])
        begin += piece.groups
    return found


def _add_edges(graph: EventGraph, chip: ChipSpec, passes: dict[int, PassEvents]) -> None:
    """Make a pass wait for its frames of the step before, and for room for its own."""
    for edge in chip.edges:
        if edge.source is None:
            continue
        source, sink = passes[edge.source], passes[edge.sink]
        stage = source.engine.commit_stage(edge.reader_tiles)
        ready = source.last_row + stage + 1 + LOOKED_AHEAD
        graph.after(sink.begin, source.last_enter, ready, 1)
        if not edge.recurrent:
            free = sink.piece.tiles + LOOKED_AHEAD
            graph.after(source.begin, sink.last_issue, free, edge.slots - 1)
