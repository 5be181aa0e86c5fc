"""What learning adds to the equations of a step's timing: error passes, and who waits for whom."""

from __future__ import annotations

from vle.compiler.circuit.eventgraph import EventGraph
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import (
    LOOKED_AHEAD,
    SOFTMAX_STAGES,
    TRACE_BEGIN,
    TRACE_DRAIN,
    sum_stage,
)
from vle.compiler.circuit.passes import ErrorEvents, PassEvents
from vle.compiler.circuit.targets import target_spec

CONTEXTS = 2  # error passes of an engine that may be under way
SEEN = LOOKED_AHEAD  # clocks until a pass that waits begins; and between two that begin, at least


def add_error_passes(graph: EventGraph, chip: ChipSpec, frame: int) -> dict[int, ErrorEvents]:
    """Add the error passes of all engines, by layer, and the frames of targets; none: no learning.

    Every step has a target here, and all targets are offered from the first input on.
    """
    if chip.learning is None:
        return {}
    target, passes = graph.event(), dict[int, ErrorEvents]()
    for engine in chip.engines:
        passes |= _add_engine(graph, engine)
        first = passes[engine.passes[0].layer]
        graph.after(first.begin, frame, chip.network.layers[0].inputs + SEEN)
    spec, top = target_spec(chip.learning), passes[len(passes) - 1]
    graph.after(target, target, spec.columns, 1)
    graph.after(target, top.issue[-1], top.last_row + top.engine.front + 1, spec.slots)
    graph.after(top.begin, target, spec.columns + SEEN)
    return passes


def _add_engine(graph: EventGraph, engine: Engine) -> dict[int, ErrorEvents]:
    """One row per clock; a context, or the layer's exponent, is free when a pass has settled."""
    found = [
        ErrorEvents(engine, piece, tuple(graph.event() for _ in range(piece.groups)))
        for piece in engine.passes
    ]
    groups = [pair for e in found for pair in zip(e.issue, e.piece.group_rows, strict=True)]
    for place, (event, rows) in enumerate(groups):
        following, wrap = (place + 1) % len(groups), int(place + 1 == len(groups))
        graph.after(groups[following][0], event, rows, wrap)
    for place, errors in enumerate(found):
        following, wrap = (place + 1) % len(found), int(place + 1 == len(found))
        graph.after(found[following].begin, errors.begin, 1 + SEEN, wrap)
    most = min(CONTEXTS, len(found))
    for place, errors in enumerate(found):
        before, wrap = found[place - most], int(place < most)
        settled = before.last_row + engine.scale_stages + 1 + SEEN
        graph.after(errors.begin, before.issue[-1], settled, wrap)
    return {errors.piece.layer: errors for errors in found}


def connect_errors(
    graph: EventGraph,
    chip: ChipSpec,
    errors: dict[int, ErrorEvents],
    passes: dict[int, PassEvents],
) -> None:
    """Make passes wait for errors of the same step, and errors for passes of the step before."""
    for each in chip.engines:
        add_traces(graph, each, passes)
    for layer, error in errors.items():
        engine, step = error.engine, passes[layer]
        for group, rows in enumerate(error.piece.group_rows):
            graph.after(step.issue[group], error.issue[group], rows + engine.error_stages)
            graph.after(error.issue[group], step.enter[group], engine.primed_stage + 1, 1)
        if layer:
            graph.after(error.begin, passes[layer - 1].begin, 1 + SEEN, 1)
    top = len(passes) - 1
    if chip.learning is not None and chip.learning.loss == "cross_entropy":
        step = passes[top]
        ready = step.last_row + step.engine.rate_stage + SOFTMAX_STAGES + SEEN
        graph.after(errors[top].begin, step.last_enter, ready, 1)
    for edge in chip.sums:
        source, sink = passes[edge.source], errors[edge.sink]
        tile = 0 if edge.kind == "down" else source.piece.spec.inputs // edge.simd
        stage = sum_stage(source.engine.pe) + 1
        graph.after(sink.begin, source.last_issue, tile + stage, 1)
        if edge.kind == "down":
            taken = sink.last_row + sink.engine.front + 1 + SEEN
            graph.after(source.last_issue, sink.issue[-1], taken)


def add_traces(graph: EventGraph, engine: Engine, passes: dict[int, PassEvents]) -> None:
    """Add the passes of an engine's traces, which take turns; a pass waits for its layer's last."""
    filtered = [
        passes[p.layer] for p in engine.passes if p.learning is not None and p.learning.filtered
    ]
    firsts = [graph.event() for _ in filtered]
    for place, (first, step) in enumerate(zip(firsts, filtered, strict=True)):
        if engine.learns_time_constants:
            done = step.last_row + engine.rate_stage + TRACE_BEGIN
            graph.after(first, step.last_enter, done)
        else:
            graph.after(first, step.begin, TRACE_BEGIN)
        before, wrap = (place - 1) % len(firsts), int(place == 0)
        columns = filtered[before].piece.spec.columns
        graph.after(first, firsts[before], columns + TRACE_DRAIN + 2, wrap)
        graph.after(step.begin, first, step.piece.spec.columns + TRACE_DRAIN + SEEN, 1)
