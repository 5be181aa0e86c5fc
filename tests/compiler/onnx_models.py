"""Small ONNX models, made in place."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 21


def node(operator, *operands, name=None, output=None, domain="", **attributes):
    """A node of a chain: "x" among its operands is the signal, arrays are constants."""
    return operator, operands, name, output, domain, attributes


def chain(path, shape, *nodes, initializer=True, **more):
    """Write a model whose nodes follow each other; return its path."""
    protos, constants, signal = [], [], "x"
    for index, (operator, operands, name, output, domain, attributes) in enumerate(nodes):
        names = []
        for operand in operands:
            if isinstance(operand, str):
                names.append(signal if operand == "x" else operand)
                continue
            names.append(f"c{len(constants)}")
            constants.append(numpy_helper.from_array(np.asarray(operand), names[-1]))
        outputs = output or [f"v{index}"]
        protos.append(
            helper.make_node(
                operator,
                names,
                outputs,
                f"{operator.lower()}{index}" if name is None else name,
                domain=domain,
                **attributes,
            )
        )
        signal = next(value for value in outputs if value)
    if not initializer:
        protos = [
            helper.make_node("Constant", [], [c.name], name=f"k{c.name}", value=c)
            for c in constants
        ] + protos
    return write(path, shape, protos, constants if initializer else [], signal, **more)


def write(
    path, shape, protos, constants, output="y", *, opset=OPSET, kind=TensorProto.FLOAT, functions=()
):
    """Write a model of any nodes; the shape of its output follows from them."""
    graph = helper.make_graph(
        protos,
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [onnx.ValueInfoProto(name=output)],
        initializer=constants,
    )
    opsets = [
        helper.make_opsetid("", opset),
        *(helper.make_opsetid(f.domain, 1) for f in functions),
    ]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    for value in onnx.shape_inference.infer_shapes(model).graph.output:
        model.graph.output[0].CopyFrom(value)
    if not model.graph.output[0].type.tensor_type.HasField("shape"):
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, kind, ["any"]))
    onnx.save(model, path)
    return path


def in_onnxruntime(path, x):
    """Answer of onnxruntime to one input."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def f4(*shape, seed=0, scale=1.0):
    """Normal numbers in single precision."""
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)
