"""The operators that can be mapped: each registers what it is, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.steps import Step


class Reading(NamedTuple):
    """What an operation does: to the axes, to the numbers, and what the user should know."""

    frame: Frame
    steps: tuple[Step, ...] = ()
    note: str = ""


Reader = Callable[[Operation, Frame, tuple[Size, ...]], Reading]


class Operator(NamedTuple):
    """An operator of ONNX as the compiler sees it.

    Parameters
    ----------
    name
        As ONNX spells it.
    becomes
        What it is mapped to.
    limits
        What is supported of it.
    read
        Reads an operation, with the axes before it and the sizes after it.
    """

    name: str
    becomes: str
    limits: str
    read: Reader


_OPERATORS: dict[str, Operator] = {}

REFUSED = {
    "LSTM": "its gates multiply signals with each other; use RNN",
    "GRU": "its gates multiply signals with each other; use RNN",
    "Conv": "it would need a memory of past frames; use dense layers or RNN",
    "HardSwish": "it multiplies signals with each other; use HardSigmoid or Relu",
}


def operator(name: str, becomes: str, limits: str = "") -> Callable[[Reader], Reader]:
    """Register a reader for an operator."""

    def register(read: Reader) -> Reader:
        _OPERATORS[name] = Operator(name, becomes, limits, read)
        return read

    return register


def find(operation: Operation) -> Operator:
    """Find the operator of an operation.

    Raises
    ------
    CompileError
        If it cannot be mapped; the message says what is supported.
    """
    if operation.operator not in _OPERATORS:
        reason = REFUSED.get(operation.operator)
        why = f": {reason}" if reason else f"; supported: {', '.join(sorted(_OPERATORS))}"
        raise operation.refuse(f"operator {operation.operator} cannot be mapped{why}")
    return _OPERATORS[operation.operator]


def operators() -> Iterator[Operator]:
    """All operators that can be mapped, by name."""
    return iter(sorted(_OPERATORS.values()))
