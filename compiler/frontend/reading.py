"""Third pass: the chain of operations to steps, with the axes followed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from onnx import ModelProto, checker
from onnx.shape_inference import infer_shapes

from vle.compiler.frontend import (  # noqa: F401 - they register their operators
    activations,
    linear,
    outputs,
    recurrent,
    shapes,
)
from vle.compiler.frontend.chain import Chain, Operation
from vle.compiler.frontend.frame import Frame, Size, input_frame, sizes_of
from vle.compiler.frontend.registry import find
from vle.compiler.frontend.source import one_line
from vle.compiler.frontend.steps import Elementwise, Matrix, Recurrence, Step, verify
from vle.errors import CompileError

T = TypeVar("T")


@dataclass(frozen=True)
class Script:
    """What a frame goes through, its width at the start, and notes for the user."""

    inputs: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def read_steps(model: ModelProto, chain: Chain) -> Script:
    """Read each operation by its operator.

    Raises
    ------
    CompileError
        If an operator cannot be mapped, is used in a way that cannot be, or the model is not valid.
    """
    found = [find(operation) for operation in chain.operations]  # before anything else is judged
    frame = input_frame(chain.input.type)
    _check(lambda: checker.check_model(model))
    sizes = _sizes(_check(lambda: infer_shapes(model, data_prop=True)))
    steps: list[Step] = []
    notes = [*chain.notes]
    for operation, operator in zip(chain.operations, found, strict=True):
        reading = operator.read(operation, frame, sizes.get(operation.output, ()))
        if reading.steps and frame.ended:
            raise operation.refuse(f"nothing may follow: {frame.ended}")
        frame = reading.frame
        steps += reading.steps
        notes += [reading.note] if reading.note else []
    inputs = _inputs(steps, frame, chain)
    verify(steps, inputs)
    _check(lambda: infer_shapes(model, check_type=True, strict_mode=True))
    return Script(inputs, tuple(steps), tuple(notes))


def _check(judge: Callable[[], T]) -> T:
    """Ask ONNX itself; where we can say what is wrong, we have said it before."""
    try:
        return judge()
    except Exception as error:  # whatever its C++ raises
        raise CompileError(f"model must be valid ONNX: {one_line(error)}") from error


def _sizes(model: ModelProto) -> dict[str, tuple[Size, ...]]:
    """Collect the sizes of all values that shape inference found."""
    return {
        value.name: sizes_of(value.type)
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.HasField("shape")
    }


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
