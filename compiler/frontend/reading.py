"""Third pass: the chain of operations to steps, with the axes followed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from onnx import checker
from onnx.shape_inference import infer_shapes

from vle.compiler.frontend import (  # noqa: F401 - they register their operators
    activations,
    classic,
    joins,
    linear,
    loops,
    outputs,
    quantized,
    recurrent,
    shapes,
)
from vle.compiler.frontend.chain import Chain, Operation
from vle.compiler.frontend.frame import Frame, input_frame
from vle.compiler.frontend.graph import Graph
from vle.compiler.frontend.outputs import HostStep
from vle.compiler.frontend.registry import Reading, find
from vle.compiler.frontend.source import one_line
from vle.compiler.frontend.steps import Elementwise, Matrix, Recurrence, Step, verify
from vle.errors import CompileError

T = TypeVar("T")


@dataclass(frozen=True)
class Script:
    """What a frame goes through.

    Parameters
    ----------
    inputs
        Width at the start.
    steps
        In order.
    notes
        For the user.
    host
        What is left to the host, in order.
    """

    inputs: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    host: tuple[HostStep, ...]


def read_steps(graph: Graph, chain: Chain) -> Script:
    """Read each operation by its operator.

    Raises
    ------
    CompileError
        If an operator cannot be mapped, is used in a way that cannot be, or the model is not valid.
    """
    for operation in chain.operations:  # before anything else is judged
        find(operation)
    frames = {name: input_frame(graph.inputs[name]) for name in chain.inputs}
    frame = next(iter(frames.values()))
    steps: list[Step] = []
    notes, host = [*chain.notes], []
    if len(frames) > 1:
        notes.append(_order(frames))
    for operation in chain.operations:
        reading = _read(graph, operation, frame, frames)
        if reading.steps and frame.ended:
            raise operation.refuse(f"nothing may follow: {frame.ended}")
        if reading.steps and frame.integers:
            raise operation.refuse("must not compute with integers: DequantizeLinear must be first")
        frame = reading.frame
        steps += reading.steps
        notes += [reading.note] if reading.note else []
        host += [reading.host] if reading.host else []
    if frame.integers:
        notes.append(_real(chain, frame.integers))
    inputs = _inputs(steps, frame, chain)
    verify(steps, inputs)
    _check(lambda: infer_shapes(graph.model, check_type=True, strict_mode=True))
    return Script(inputs, tuple(steps), tuple(notes), tuple(host))


def _read(graph: Graph, operation: Operation, frame: Frame, frames: dict[str, Frame]) -> Reading:
    if operation.branches:
        return joins.join(
            operation, {operation.source: frame} if operation.source else frames, graph.sizes
        )
    return find(operation).read(operation, frame, graph.sizes.get(operation.output, ()))


def _real(chain: Chain, integers: tuple[float, float]) -> str:
    scale, zero = integers
    return f"outputs are real numbers y: {chain.output!r} is y / {scale:g} + {zero:g}"


def _order(frames: dict[str, Frame]) -> str:
    """Say where each of several inputs lies in the one frame that the chip gets."""
    texts, first = [], 0
    for name, frame in frames.items():
        width = frame.axes[-1].size
        if isinstance(width, int):
            texts.append(f"{name} in {first}..{first + width - 1}")
            first += width
    return f"the inputs are one frame, with {', '.join(texts)}"


def check_valid(graph: Graph) -> None:
    """Judge the inputs, then let ONNX's checker judge the model.

    Raises
    ------
    CompileError
        For an input that is no tensor of a known number of axes, or with what the checker says.
    """
    for kind in graph.inputs.values():
        input_frame(kind)
    _check(lambda: checker.check_model(graph.model))


def _check(judge: Callable[[], T]) -> T:
    """Ask ONNX itself; where we can say what is wrong, we have said it before."""
    try:
        return judge()
    except Exception as error:  # whatever its C++ raises
        raise CompileError(f"model must be valid ONNX: {one_line(error)}") from error


def _inputs(steps: list[Step], frame: Frame, chain: Chain) -> int:
    """Width of an input frame: that of the first step which has one, else the last axis."""
    for step in steps:
        if isinstance(step, Matrix | Recurrence):
            return int(step.weight.shape[1])
        if isinstance(step, Elementwise) and step.scale.ndim + step.shift.ndim:
            return max(step.scale.size, step.shift.size)
    if not chain.operations:
        raise CompileError("model must have at least one operation, not none")
    last: Operation = chain.operations[-1]
    return frame.width(last)
