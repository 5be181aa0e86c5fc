"""A network as an ONNX model: a `Scan` over time whose body calls the functions of `vle`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from vle.sim.onnx_format import functions
from vle.sim.onnx_format.functions import DOMAIN, LAYER, RECURRENT_LAYER

if TYPE_CHECKING:
    from vle.sim import Layer, Network

FORMAT = 1
SETTINGS = ("loss", "gamma", "beta", "plasticity", "error_recurrence", "aligned")
BATCH, TIME = "batch", "T"


def to_model(network: Network, metadata: Mapping[str, Any] | None = None) -> ModelProto:
    """Build the model that computes `network.run`.

    Parameters
    ----------
    network
        What to write.
    metadata
        Further settings to carry along, as JSON values; inference does not need them.
    """
    parts = [_part(network, index) for index in range(len(network.layers))]
    main = _main_graph(network, parts)
    used = sorted({node.op_type for part in parts for node in part.body if node.domain == DOMAIN})
    model = helper.make_model(
        main,
        functions=[functions.function(name) for name in used],
        opset_imports=[
            helper.make_opsetid("", functions.OPSET),
            helper.make_opsetid(DOMAIN, functions.DOMAIN_VERSION),
        ],
        ir_version=functions.IR_VERSION,
        producer_name="vle",
    )
    model.metadata_props.add(key="vle", value=json.dumps(_settings(network)))
    if metadata:
        model.metadata_props.add(key="vle.metadata", value=json.dumps(dict(metadata)))
    return model


@dataclass
class _Part:
    """What one layer brings: nodes of the body, states `(name, width)`, parameters."""

    body: list[NodeProto]
    states: list[tuple[str, int]]
    parameters: list[TensorProto] = field(default_factory=list)


def _part(network: Network, index: int) -> _Part:
    """Nodes, states and parameters of one layer.

    Aligned, a layer hears the rates that the layer below computes in this very step; that equals
    what a start flag, flushing and shifting do with the chain of one-step delays.
    """
    layer, name = network.layers[index], f"layer{index}"
    below = f"layer{index - 1}.r" + ("_next" if network.aligned else "") if index else "x_t.double"
    heard = layer.recurrent is not None or (not network.aligned and index + 1 < len(network.layers))
    activation = layer.activation.name
    constants = functions.CONSTANTS_OF.get(activation, ())
    common = [f"{name}.{what}" for what in ("bias", "tau_m", "tau_r")] + ["dt"]
    if layer.recurrent is None:
        operator, inputs = LAYER, [below, f"{name}.u", f"{name}.weight", *common]
    else:
        operator = RECURRENT_LAYER
        inputs = [below, f"{name}.r", f"{name}.u", f"{name}.weight", f"{name}.recurrent", *common]
    body = [
        helper.make_node(
            operator, inputs, [f"{name}.u_next", f"{name}.prosp_u"], name=name, domain=DOMAIN
        ),
        helper.make_node(
            functions.FUNCTION_OF[activation],
            [f"{name}.prosp_u", *(f"{name}.{constant}" for constant in constants)],
            [f"{name}.r_next"],
            name=f"{name}.activation",
            domain=DOMAIN,
        ),
    ]
    states = [(f"{name}.{what}", layer.outputs) for what in ("u", *(("r",) if heard else ()))]
    return _Part(body, states, _parameters(layer, name, constants))


def _parameters(layer: Layer, name: str, constants: tuple[str, ...]) -> list[TensorProto]:
    """Parameters of one layer under their names in the file."""
    arrays: dict[str, ArrayLike] = {
        what: getattr(layer, what) for what in ("weight", "bias", "tau_m", "tau_r")
    }
    if layer.recurrent is not None:
        arrays["recurrent"] = layer.recurrent
    arrays |= {constant: getattr(layer.activation, constant) for constant in constants}
    return [_double(array, f"{name}.{what}") for what, array in arrays.items()]


def _main_graph(network: Network, parts: list[_Part]) -> GraphProto:
    """Build the graph around the body: initial states for the batch at hand, and the scan."""
    states = [state for part in parts for state in part.states]
    nodes = [helper.make_node("Shape", ["x"], ["batch"], name="batch", start=1, end=2)]
    initializers = [_double(network.dt, "dt")]
    zero = numpy_helper.from_array(np.zeros(1))
    for width in sorted({width for _, width in states}):
        initializers.append(numpy_helper.from_array(np.array([width], np.int64), f"width{width}"))
        nodes += [
            helper.make_node(
                "Concat", ["batch", f"width{width}"], [f"shape{width}"], f"shape{width}", axis=0
            ),
            helper.make_node(
                "ConstantOfShape", [f"shape{width}"], [f"zero{width}"], f"zero{width}", value=zero
            ),
        ]
    scan = helper.make_node(
        "Scan",
        [*(f"zero{width}" for _, width in states), "x"],
        [*(f"{name}_end" for name, _ in states), "y"],
        name="time",
        num_scan_inputs=1,
        body=_body(network, parts, states),
    )
    return helper.make_graph(
        [*nodes, scan],
        "vle",
        [_value("x", TensorProto.FLOAT, TIME, BATCH, network.inputs)],
        [_value("y", TensorProto.FLOAT, TIME, BATCH, network.outputs)],
        initializer=[*initializers, *(p for part in parts for p in part.parameters)],
    )


def _body(network: Network, parts: list[_Part], states: list[tuple[str, int]]) -> GraphProto:
    """One time step."""
    double, last = TensorProto.DOUBLE, f"layer{len(parts) - 1}.r_next"
    return helper.make_graph(
        [
            helper.make_node("Cast", ["x_t"], ["x_t.double"], name="cast_x", to=double),
            *(node for part in parts for node in part.body),
            helper.make_node("Cast", [last], ["y_t"], name="cast_y", to=TensorProto.FLOAT),
            *(_hand_on(name) for name, _ in states),
        ],
        "step",
        [
            *(_value(name, double, BATCH, width) for name, width in states),
            _value("x_t", TensorProto.FLOAT, BATCH, network.inputs),
        ],
        [
            *(_value(f"{name}_out", double, BATCH, width) for name, width in states),
            _value("y_t", TensorProto.FLOAT, BATCH, network.outputs),
        ],
    )


def _hand_on(state: str) -> NodeProto:
    """Give a state to the next step under a name of its own, whoever else reads it."""
    return helper.make_node("Identity", [f"{state}_next"], [f"{state}_out"], name=f"{state}_out")


def _settings(network: Network) -> dict[str, Any]:
    """Collect what inference does not need."""
    settings = {"format": FORMAT} | {name: getattr(network, name) for name in SETTINGS}
    backward = {
        f"layer{index}": pack(layer.backward)
        for index, layer in enumerate(network.layers)
        if layer.backward is not None
    }
    return settings | ({"backward": backward} if backward else {})


def pack(array: ArrayLike) -> dict[str, Any]:
    """Write an array as a JSON value: its shape, and little-endian doubles in base64."""
    numbers = np.asarray(array, np.float64)
    data = base64.b64encode(numbers.astype("<f8").tobytes()).decode("ascii")
    return {"shape": list(numbers.shape), "float64": data}


def unpack(value: Mapping[str, Any]) -> NDArray[np.float64]:
    """Read what `pack` wrote."""
    numbers = np.frombuffer(base64.b64decode(value["float64"], validate=True), "<f8")
    return numbers.reshape(value["shape"]).astype(np.float64)


def _double(array: ArrayLike, name: str) -> TensorProto:
    return numpy_helper.from_array(np.asarray(array, np.float64), name)


def _value(name: str, kind: int, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))
