"""A model that `to_model` wrote, as a network again."""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from vle.sim.activations import Activation
from vle.sim.network import Layer, Network
from vle.sim.onnx_format import functions
from vle.sim.onnx_format.functions import ACTIVATION_OF, CONSTANTS_OF, DOMAIN
from vle.sim.onnx_format.writer import FORMAT, SETTINGS, to_model, unpack


class FormatError(ValueError):
    """A model of the domain `vle` that does not keep the format.

    Parameters
    ----------
    message
        The rule that it breaks.
    node
        The node concerned, as ``name (operator)``.
    """

    def __init__(self, message: str, node: str | None = None) -> None:
        super().__init__(f"node {node}: {message}" if node else message)
        self.message, self.node = message, node


def is_ours(model: ModelProto) -> bool:
    """Say whether a model uses the functions of the domain `vle`."""
    return any(function.domain == DOMAIN for function in model.functions)


def from_model(model: ModelProto) -> Network:
    """Return the network that a model computes.

    The graph that the network would be written as must be the graph of the file, so that nothing in
    the file is overlooked: what a runtime computes is what the network computes.

    Raises
    ------
    FormatError
        If the model is not as `to_model` writes it, or holds numbers that no network may have.
    """
    settings = _json(model, "vle")
    if settings.get("format") != FORMAT:
        raise FormatError(f"format must be {FORMAT}, not {settings.get('format')!r}")
    arrays = _arrays(model.graph)
    backward = settings.get("backward", {})
    try:
        matrices = {name: unpack(value) for name, value in backward.items()}
    except (AttributeError, TypeError, KeyError, ValueError, binascii.Error) as error:
        raise FormatError(f"backward must be matrices by layer: {error}") from error
    layers = tuple(
        _layer(node, activation, arrays, matrices.pop(node.name, None))
        for node, activation in _layer_nodes(model.graph)
    )
    if matrices:
        raise FormatError(f"backward must be of layers of the file, not {next(iter(matrices))!r}")
    try:
        chosen = {name: settings[name] for name in SETTINGS}
        network = Network(layers, float(_get(arrays, "dt", "dt")), **chosen)
    except KeyError as error:
        raise FormatError(f"setting {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise FormatError(str(error)) from error
    _check_same(model, network)
    return network


def read_metadata(model: ModelProto) -> dict[str, Any]:
    """Further settings that `to_model` was given; empty where there are none."""
    present = any(entry.key == "vle.metadata" for entry in model.metadata_props)
    return _json(model, "vle.metadata") if present else {}


def _json(model: ModelProto, key: str) -> dict[str, Any]:
    texts = [entry.value for entry in model.metadata_props if entry.key == key]
    if len(texts) != 1:
        raise FormatError(f"metadata must have one entry {key!r}, not {len(texts)}")
    try:
        value = json.loads(texts[0])
    except ValueError as error:
        raise FormatError(f"metadata {key!r} must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"metadata {key!r} must be a JSON object, not {value!r}")
    return value


def _arrays(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """Read all initializers by name."""
    arrays = {}
    for tensor in graph.initializer:
        try:
            arrays[tensor.name] = numpy_helper.to_array(tensor)
        except Exception as error:  # whatever is wrong with the bytes
            raise FormatError(f"initializer {tensor.name!r} must be whole: {error}") from error
    return arrays


def _layer_nodes(graph: GraphProto) -> list[tuple[NodeProto, NodeProto]]:
    """Find each layer's node in the body of the scan, with its activation's node."""
    scans = [node for node in graph.node if node.op_type == "Scan"]
    bodies = [a.g for scan in scans for a in scan.attribute if a.name == "body"]
    if len(bodies) != 1:
        raise FormatError(f"graph must have one Scan, not {len(bodies)}")
    nodes = [node for node in bodies[0].node if node.domain == DOMAIN]
    pairs = list(zip(nodes[::2], nodes[1::2], strict=False))
    if not pairs or len(nodes) % 2:
        raise FormatError("body must have a layer and an activation in turn")
    for layer, activation in pairs:
        if layer.op_type not in (functions.LAYER, functions.RECURRENT_LAYER):
            raise FormatError("a layer's function is expected here", _name(layer))
        if activation.op_type not in ACTIVATION_OF:
            raise FormatError("an activation's function is expected here", _name(activation))
    return pairs


def _layer(
    node: NodeProto,
    activation: NodeProto,
    arrays: dict[str, NDArray[Any]],
    backward: NDArray[np.float64] | None,
) -> Layer:
    """Gather the parameters of one layer."""
    named = ["weight", "bias", "tau_m", "tau_r"]
    if node.op_type == functions.RECURRENT_LAYER:
        named.append("recurrent")
    phi = ACTIVATION_OF[activation.op_type]
    where = _name(node)
    found = {what: _get(arrays, f"{node.name}.{what}", where) for what in named}
    for what, array in found.items():  # a Layer would spread a single number over all neurons
        if array.ndim != (2 if what in ("weight", "recurrent") else 1):
            raise FormatError(f"{what} must be a matrix or a vector, not {array.shape}", where)
    constants = {
        what: _get(arrays, f"{node.name}.{what}", where) for what in CONSTANTS_OF.get(phi, ())
    }
    try:
        function = Activation(phi, **{what: float(value) for what, value in constants.items()})
        return Layer(**found, activation=function, backward=backward)
    except (ValueError, TypeError) as error:
        raise FormatError(str(error), where) from error


def _get(arrays: dict[str, NDArray[Any]], name: str, node: str) -> NDArray[Any]:
    if name not in arrays:
        raise FormatError(f"initializer {name!r} is missing", node)
    if arrays[name].dtype != np.float64:
        raise FormatError(f"initializer {name!r} must be float64, not {arrays[name].dtype}", node)
    return arrays[name]


def _check_same(model: ModelProto, network: Network) -> None:
    """Require that the file computes what the network computes, node for node."""
    expected = to_model(network)
    for what, found, wanted in (
        ("graph", [model.graph], [expected.graph]),
        ("functions", model.functions, expected.functions),
    ):
        try:
            same = _plain(found) == _plain(wanted)
        except ValueError:  # a name that is no UTF-8
            same = False
        if not same:
            raise FormatError(f"{what} must be as the network is written; they were changed")


def _plain(messages: Sequence[Any]) -> list[bytes]:
    """Serialise for comparison, tensors by their numbers and comments left out."""
    plain = []
    for message in messages:
        copy = type(message)()
        copy.CopyFrom(message)
        copy.doc_string = ""
        if isinstance(copy, GraphProto):
            copy.ClearField("value_info")
            copy.ClearField("name")
            tensors = sorted((_normal(tensor) for tensor in copy.initializer), key=lambda t: t.name)
            copy.ClearField("initializer")
            copy.initializer.extend(tensors)
        plain.append(copy.SerializeToString(deterministic=True))
    return sorted(plain)


def _normal(tensor: TensorProto) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)


def _name(node: NodeProto) -> str:
    return f"{node.name} ({node.op_type})"
