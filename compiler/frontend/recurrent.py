"""The Elman layer of ONNX."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Axis, Frame, Size
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Floats, Recurrence
from vle.sim import Activation

ACTIVATIONS = {
    "Tanh": "tanh",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid",
}


@operator(
    "RNN",
    "recurrent layer, `tau_m = tau_r = dt`",
    f"forward, any constant initial state, no clip, no sequence_lens; {', '.join(ACTIVATIONS)}",
)
def _rnn(operation: Operation, frame: Frame, sizes: tuple[Size, ...]) -> Reading:
    _check(operation, frame)
    width = frame.width(operation)
    weight, recurrent, bias = _parameters(operation, width)
    start = _start(operation, recurrent)
    step = Recurrence(operation.node, weight, recurrent, bias, _activation(operation), start=start)
    axes = list(frame.with_features(len(weight)).axes)
    time_axis = operation.attributes.get("layout", 0)
    if frame.time not in (None, time_axis) or frame.last_only:
        raise operation.refuse("must walk along the time axis of the RNN before it")
    if operation.output_index == 1:  # the last state: directions before or after the batch
        axes.pop(time_axis)
        axes.insert(time_axis, Axis(1))
        note = f"{operation.node}: the answer is the output of a sequence's last step"
        return Reading(replace(frame.with_axes(axes), last_only=True), (step,), note)
    axes[time_axis] = replace(axes[time_axis], role="time")
    axes.insert(2 if time_axis else 1, Axis(1))
    return Reading(frame.with_axes(axes), (step,))


def _check(operation: Operation, frame: Frame) -> None:
    """Refuse what the recurrent layer cannot do."""
    if operation.data_index != 0 or len(frame.axes) != 3:
        raise operation.refuse(f"input must have three axes, not {len(frame.axes)}")
    operation.require(input_forget=0)
    direction = operation.attributes.get("direction", b"forward").decode()
    if direction != "forward":
        raise operation.refuse(f"direction must be forward, not {direction}")
    if "clip" in operation.attributes:
        raise operation.refuse("clip must be left out")
    if len(operation.operands) > 4 and (
        4 in operation.unknown or operation.operands[4] is not None
    ):
        raise operation.refuse("sequence_lens must be left out")


def _start(operation: Operation, recurrent: Floats) -> Floats | None:
    """Find what an initial state other than 0 adds to the sum of the first step."""
    given = 5 in operation.unknown or (
        len(operation.operands) > 5 and operation.constant(5) is not None
    )
    if not given:
        return None
    state = operation.spread.get(5)
    if state is None:
        rule = "initial_h must be a constant, not an input or computed; write it into the file"
        raise operation.refuse(rule)
    if not np.any(state):
        return None
    rows = np.asarray(state, np.float64).reshape(-1, state.shape[-1] if state.ndim else 1)
    if rows.shape[1] not in (1, len(recurrent)) or not np.all(rows == rows[0]):
        raise operation.refuse("initial_h must be the same for all sequences of a batch")
    return np.asarray(recurrent @ np.broadcast_to(rows[0], len(recurrent)))


def _parameters(operation: Operation, width: int) -> tuple[Any, Any, Any]:
    """Weights of the only direction; ONNX adds two biases."""
    weight, recurrent, both = (operation.constant(index) for index in (1, 2, 3))
    hidden = operation.attributes.get("hidden_size", 0)
    hidden = hidden or (weight.shape[1] if weight is not None and weight.ndim == 3 else 0)
    both = np.zeros((1, 2 * hidden)) if both is None else both
    for what, array, shape in (
        ("W", weight, (1, hidden, width)),
        ("R", recurrent, (1, hidden, hidden)),
        ("B", both, (1, 2 * hidden)),
    ):
        if array is None or array.shape != shape:
            found = None if array is None else array.shape
            raise operation.refuse(f"{what} must be of shape {shape}, not {found}")
    biases = both[0].astype(np.float64)
    weight, recurrent = (np.asarray(a, np.float64)[0] for a in (weight, recurrent))
    return weight, recurrent, biases[:hidden] + biases[hidden:]


def _activation(operation: Operation) -> Activation:
    """Activation of the layer, with its constants in ONNX's way of listing them."""
    names = [name.decode() for name in operation.attributes.get("activations", [b"Tanh"])]
    if len(names) != 1 or names[0].title().replace("_", "") not in _BY_TITLE:
        rule = f"activations must be one of {', '.join(ACTIVATIONS)}"
        raise operation.refuse(f"{rule}, not {', '.join(names)}")
    name = _BY_TITLE[names[0].title()]
    constants: dict[str, float] = {}
    for what, takes in (("alpha", ("leaky_relu", "hard_sigmoid")), ("beta", ("hard_sigmoid",))):
        given = operation.attributes.get(f"activation_{what}")
        if given and name in takes:
            constants[what] = float(given[0])
    try:
        return Activation(name, **constants)
    except ValueError as error:
        raise operation.refuse(str(error)) from error


_BY_TITLE = {name.title(): ours for name, ours in ACTIVATIONS.items()}  # any case, as in ONNX
