"""What is known of the signal's axes: which carry the frame, which only carry many frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnx import TypeProto

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.graph import Size, sizes_of
from vle.errors import CompileError

__all__ = ["Axis", "Frame", "Size", "input_frame", "regroup"]


@dataclass(frozen=True)
class Axis:
    """One axis of the signal.

    Parameters
    ----------
    size
        Number of elements, a symbol, or None where it is not known.
    parts
        The input's axes that it is made of; empty for an axis of length 1.
    role
        `features` once a matrix has acted on it, `time` once an RNN has walked along it.
    """

    size: Size
    parts: tuple[int, ...] = ()
    role: str = ""


@dataclass(frozen=True)
class Frame:
    """The axes of the signal at one place of the chain.

    Parameters
    ----------
    axes
        In order.
    last_only
        The signal is that of the last step of a sequence; its time axis is gone.
    ended
        Why nothing may change the numbers any more, such as after a softmax; empty: it may.
    integers
        Scale and zero point, where the numbers are integers that stand for others.
    """

    axes: tuple[Axis, ...]
    last_only: bool = False
    ended: str = ""
    integers: tuple[float, float] | None = None

    @property
    def features(self) -> int | None:
        """Position of the axis that matrices act on, None where none has."""
        return next((i for i, axis in enumerate(self.axes) if axis.role == "features"), None)

    @property
    def time(self) -> int | None:
        """Position of the axis that an RNN walks along, None where none has."""
        return next((i for i, axis in enumerate(self.axes) if axis.role == "time"), None)

    def width(self, operation: Operation, axis: int = -1) -> int:
        """Length of the frame, which must be a given axis and all that matrices acted on before.

        Raises
        ------
        CompileError
            If the frame is another axis, or its length is not fixed.
        """
        if not self.axes or not -len(self.axes) <= axis < len(self.axes):
            raise operation.refuse(f"input must have an axis {axis}, not {len(self.axes)} axes")
        position = axis % len(self.axes)
        if self.features not in (None, position):
            rule = f"must act on axis {self.features}, which carries the frame, not {position}"
            raise operation.refuse(rule)
        size = self.axes[position].size
        if self.axes[position].role == "time" or not isinstance(size, int):
            raise operation.refuse(f"axis {position} must be a frame of fixed length, not {size!r}")
        return size

    def with_features(self, width: int, axis: int = -1) -> Frame:
        """Return this frame after a matrix has acted on an axis."""
        axes = list(self.axes)
        axes[axis] = Axis(width, role="features")
        return replace(self, axes=tuple(axes))

    def with_axes(self, axes: Sequence[Axis]) -> Frame:
        """Return this frame with its axes arranged anew."""
        return replace(self, axes=tuple(axes))


def input_frame(kind: TypeProto) -> Frame:
    """Return the axes of the model's input.

    Raises
    ------
    CompileError
        If the input is no tensor of a known number of axes.
    """
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        raise CompileError("input must be a tensor with a known number of axes")
    sizes = sizes_of(kind)
    if not sizes or any(isinstance(size, int) and size < 1 for size in sizes):
        raise CompileError(f"input must have at least one axis and none of length 0, not {sizes}")
    return Frame(tuple(Axis(size, () if size == 1 else (i,)) for i, size in enumerate(sizes)))


def regroup(operation: Operation, axes: Sequence[Axis], sizes: Sequence[Size]) -> list[Axis]:
    """Find each new axis of a reshape as a run of old ones; axes of length 1 come and go.

    Raises
    ------
    CompileError
        If an axis is split, or one that has a role is merged with others.
    """
    old = [axis for axis in axes if axis.size != 1]
    new = [(i, size) for i, size in enumerate(sizes) if size != 1]
    runs: dict[int, list[Axis]] = {}
    while old and new and isinstance(size := new[-1][1], int):  # from the right, where known
        index = new.pop()[0]
        runs[index] = _take(old, size)
        if not runs[index]:
            raise operation.refuse(_rule(axes, sizes))
    while len(new) > 1 and len(old) > 1:  # from the left, one by one
        runs[new.pop(0)[0]] = [old.pop(0)]
    if len(new) != 1 and (new or old):
        raise operation.refuse(_rule(axes, sizes))
    if new:
        runs[new[0][0]] = old
    return [_merge(operation, runs.get(i, []), size) for i, size in enumerate(sizes)]


def _take(old: list[Axis], size: int) -> list[Axis]:
    """Take axes from the right whose lengths multiply to a size; none if they do not."""
    run: list[Axis] = []
    length = 1
    while old and isinstance(found := old[-1].size, int) and length * found <= size:
        run.insert(0, old.pop())
        length *= found
    return run if length == size else []


def _merge(operation: Operation, run: list[Axis], size: Size) -> Axis:
    if len(run) == 1:
        return run[0]
    if any(axis.role for axis in run):
        raise operation.refuse("must not merge the frame or time with other axes")
    parts = [part for axis in run for part in axis.parts]
    if parts != sorted(parts):
        raise operation.refuse("must not permute the elements of a frame")
    if not isinstance(size, int) and all(isinstance(axis.size, int) for axis in run):
        size = math.prod(axis.size for axis in run if isinstance(axis.size, int))
    return Axis(size, tuple(parts))


def _rule(axes: Sequence[Axis], sizes: Sequence[Size]) -> str:
    old = tuple(axis.size for axis in axes)
    return f"must keep each frame as it is, not turn {old} into {tuple(sizes)}"
