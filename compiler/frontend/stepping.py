"""Models of one step, whose states are inputs and outputs."""

from __future__ import annotations

import numpy as np

from vle.compiler.frontend.body import body_steps
from vle.compiler.frontend.frame import input_frame
from vle.compiler.frontend.graph import Graph, label
from vle.compiler.frontend.loop import Loop, State
from vle.compiler.frontend.reading import Script
from vle.compiler.frontend.steps import verify
from vle.errors import CompileError


def step_loop(graph: Graph) -> Loop | None:
    """Take a model as one step: the first input and output are the signal, the others states.

    Returns
    -------
    None where the model is none. It has as many outputs as inputs, at least two; each further
    output is as wide as the input at its place and depends on it; and nothing walks through time.
    """
    inputs, outputs = list(graph.inputs), [value.name for value in graph.graph.output]
    walks = any(node.op_type in ("RNN", "Scan") for node in graph.graph.node)
    if len(inputs) < 2 or len(inputs) != len(outputs) or walks:
        return None
    pairs = list(zip(inputs[1:], outputs[1:], strict=True))
    for before, after in pairs:
        sizes = [graph.sizes.get(name, ())[-1:] for name in (before, after)]
        if sizes[0] != sizes[1] or before not in graph.leads_to([after]):
            return None
    states = tuple(State(before, after, np.zeros(1)) for before, after in pairs)
    return Loop(graph, inputs[0], states, outputs[0], inputs[0], 0, 0)


def read_loop(graph: Graph, loop: Loop) -> Script:
    """Read a model of one step.

    Raises
    ------
    CompileError
        Where it is no chain of dense layers, Elman layers and leaky integrators.
    """
    width = input_frame(graph.inputs[loop.x]).axes[-1].size
    if loop.output not in graph.producers:
        raise CompileError(f"output {loop.output!r} must be computed")
    where = label(graph.producers[loop.output])
    if not isinstance(width, int):
        raise CompileError(f"input {loop.x!r} must be a frame of fixed length, not {width!r}")
    steps = body_steps(loop, width, where)
    verify(steps, width)
    pairs = ", ".join(f"{state.name} becomes {state.after}" for state in loop.states)
    note = f"the model is one step: {pairs}; each sequence starts from 0"
    return Script(width, tuple(steps), (note,), ())
