"""What cannot come in is told why: the file, the node, the rule."""

import contextlib
import os

import numpy as np
import onnx
import pytest
from onnx_models import chain, f4, node, write

from vle.compiler.frontend import read_model
from vle.errors import CompileError
from vle.sim import Layer, Network

INT = np.int64
SOAK = bool(os.environ.get("VLE_SOAK"))
CASES, SOAK_CASES = 100, 3500
W, B = f4(3, 5), f4(5)
make = onnx.helper.make_node


def refused(path, rule):
    with pytest.raises(CompileError, match=rule) as error:
        read_model(path)
    assert error.value.file == str(path)
    assert "\n" not in str(error.value)
    return error.value


# Files


def test_no_file_and_a_folder(tmp_path):
    refused(tmp_path / "none.onnx", r"none\.onnx: there is no such file")
    refused(tmp_path, "must be an ONNX file, not a folder")
    refused("/dev/zero", "must be a regular file")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08", b"PK\x03\x04", bytes(1000)])
def test_a_file_that_is_no_onnx(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    refused(tmp_path / "m.onnx", r"m\.onnx: must be an ONNX model")


def test_a_truncated_file(tmp_path):
    path = chain(tmp_path / "m.onnx", ["n", 3], node("Gemm", "x", W, B), node("Tanh", "x"))
    data = path.read_bytes()
    for length in range(0, len(data), 5):
        path.write_bytes(data[:length])
        refused(path, r"m\.onnx: ")


def test_a_file_too_large_is_not_read(tmp_path):
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(2**31)  # sparse: takes no room
    refused(tmp_path / "m.onnx", "must be at most 2147483647 bytes, not 2147483648")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = chain(tmp_path / "m.onnx", ["n", 3], node("Gemm", "x", W, B))

    def deny(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "read_bytes", deny)
    refused(path, "Permission denied")


def test_our_own_files_name_their_layer(tmp_path):
    Network((Layer(f4(2, 2), f4(2), 1.0, 1.0, "tanh"),), 0.5).save(tmp_path / "n.onnx")
    model = onnx.load(tmp_path / "n.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "layer0.tau_m":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(2), tensor.name))
    onnx.save(model, tmp_path / "n.onnx")
    error = refused(tmp_path / "n.onnx", "tau_m must be positive")
    assert error.node == "layer0 (Layer)"


# Operators


@pytest.mark.parametrize("operator", ["Elu", "Selu", "Erf", "Softsign", "Sin", "Exp"])
def test_unknown_operators_name_what_is_supported(tmp_path, operator):
    path = chain(tmp_path / "m.onnx", ["n", 3], node(operator, "x", name="odd"))
    error = refused(
        path, rf"operator {operator} cannot be mapped; supported: Add, ArgMax, .*, Unsq"
    )
    assert error.node == f"odd ({operator})"


@pytest.mark.parametrize(
    ("node_", "reason"),
    [
        (node("LSTM", "x", f4(1, 8, 3), f4(1, 8, 2), hidden_size=2), "its gates multiply signals"),
        (node("GRU", "x", f4(1, 6, 3), f4(1, 6, 2), hidden_size=2), "its gates multiply signals"),
        (node("Conv", "x", f4(4, 2, 3)), "memory of past frames"),
        (node("HardSwish", "x"), "use HardSigmoid or Relu"),
    ],
)
def test_some_operators_give_the_reason(tmp_path, node_, reason):
    path = chain(tmp_path / "m.onnx", ["n", 2, 3], node_)
    refused(path, rf"\({node_[0]}\): operator {node_[0]} cannot be mapped: .*{reason}")


def test_operators_of_other_domains(tmp_path):
    fused = node("FusedGemm", "x", W, domain="com.microsoft")
    path = chain(
        tmp_path / "m.onnx", ["n", 3], fused, functions=[onnx.FunctionProto(domain="com.microsoft")]
    )
    refused(path, r"node fusedgemm0 \(com.microsoft.FusedGemm\): operator com.microsoft.FusedGemm")


def test_a_node_without_a_name_is_named_by_what_it_computes(tmp_path):
    path = chain(tmp_path / "m.onnx", ["n", 3], node("Elu", "x", name=""))
    refused(path, r"node of v0 \(Elu\): operator Elu")


# Numbers and shapes


@pytest.mark.parametrize(
    ("node_", "rule"),
    [
        (node("Gemm", "x", W * np.nan, B), "weight must be finite, not nan"),
        (node("Gemm", "x", W, B * np.inf), "bias must be finite, not -?inf"),
        (node("MatMul", "x", W + np.inf), "weight must be finite, not inf"),
        (node("Add", "x", np.float32([1, 2, np.nan])), "shift must be finite, not nan"),
        (node("Div", "x", np.float32([1, 0, 1])), "scale must be finite, not inf"),
        (node("LeakyRelu", "x", alpha=np.inf), "alpha of leaky_relu must be finite"),
        (node("PRelu", "x", np.float32([0.1, 0.2, 0.1])), "the same for all features"),
        (node("Clip", "x", np.float32(1), np.float32(-1)), "limits must be in ascending order"),
        (node("Clip", "x", np.float32(np.nan)), "limits must be in ascending order"),
        (node("Gemm", "x", f4(4, 5)), "weight must take 3 inputs, not 4"),
        (node("Gemm", "x", f4(5, 4), transB=1), "weight must take 3 inputs, not 4"),
        (node("MatMul", "x", f4(4, 5)), "weight must take 3 inputs, not 4"),
        (node("MatMul", "x", f4(2, 3, 5)), r"weight must be a matrix, not of shape \(2, 3, 5\)"),
        (node("MatMul", "x", f4(3)), r"weight must be a matrix, not of shape \(3,\)"),
        (node("MatMul", "x", f4(3, 0)), r"weight must not be empty, not of shape \(3, 0\)"),
        (node("Gemm", "x", W, f4(4)), r"one for each of 5 features, not of shape \(4,\)"),
        (node("Gemm", "x", f4(7, 3), transA=1), "transA must be 0, not 1"),
        (node("Gemm", W, "x", transA=1), "the signal must be the first operand"),
        (node("Add", "x", f4(4, 3)), r"one number or one for each of 3 features"),
        (node("Div", f4(3), "x"), "must divide by a constant, not by the signal"),
        (node("Mul", "x", "x"), "branches cannot be mapped: it joins x, x"),
        (node("Softmax", "x", axis=0), "must be over the features, not over axis 0"),
        (node("Cast", "x", to=6), "must cast to a floating-point type"),
        (node("Dropout", "x", np.float32(0.5), np.bool_(True)), "training_mode must be false"),
        (node("Flatten", "x", axis=0), "."),
    ],
)
def test_wrong_numbers_and_shapes(tmp_path, node_, rule):
    path = chain(tmp_path / "m.onnx", ["n", 3], node_, node("Tanh", "x"))
    error = refused(path, rule)
    assert error.node is None or node_[0] in error.node or rule == "."


@pytest.mark.parametrize(
    ("shape", "nodes", "rule"),
    [
        (["n", 4, 3], [node("Reshape", "x", INT([-1, 6]))], "must keep each frame as it is"),
        (["n", 6], [node("Reshape", "x", INT([-1, 3]))], "must keep each frame as it is"),
        (
            ["n", 4, 3],
            [node("Transpose", "x", perm=[0, 2, 1]), node("Flatten", "x")],
            "must not permute the elements of a frame",
        ),
        (
            ["n", 3, 2],
            [node("BatchNormalization", "x", *[np.ones(3, "f4")] * 4)],
            "must act on axis",
        ),
        (["n", "m"], [], "axis 1 must be a frame of fixed length, not 'm'"),
        (["n", None], [], "axis 1 must be a frame of fixed length"),
        ([], [], "at least one axis"),
        (["n", 0], [], "none of length 0"),
        (None, [], "must be a tensor with a known number of axes"),
        (
            ["n", 3],
            [node("Softmax", "x"), node("Mul", "x", np.float32(2))],
            r"nothing may follow: softmax0 \(Softmax\) must be the last",
        ),
    ],
)
def test_wrong_arrangements(tmp_path, shape, nodes, rule):
    path = chain(tmp_path / "m.onnx", shape, *nodes, node("MatMul", "x", f4(6, 2)))
    refused(path, rule)


# Graphs


def graph(path, nodes, **arrays):
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return write(path, ["n", 3], nodes, constants)


def test_a_missing_initializer(tmp_path):
    path = graph(tmp_path / "m.onnx", [make("MatMul", ["x", "w"], ["y"], name="m")])
    refused(path, r"node m \(MatMul\): input 'w' is neither computed nor stored")


def test_an_initializer_with_too_few_or_far_too_many_numbers(tmp_path):
    path = graph(tmp_path / "m.onnx", [make("MatMul", ["x", "w"], ["y"])], w=f4(3, 3))
    model = onnx.load(path)
    for dims in ([3, 4], [2**40, 2**40], [-1, 3]):
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        onnx.save(model, path)
        refused(path, "initializer 'w' must be whole|Negative dimension value")


def test_a_cycle(tmp_path):
    nodes = [make("Add", ["x", "b"], ["a"], name="one"), make("Tanh", ["a"], ["b"])]
    path = graph(tmp_path / "m.onnx", [*nodes, make("Tanh", ["b"], ["y"])])
    refused(path, r"node one \(Add\): input 'b' is computed only later: the graph is cyclic")


def test_branches(tmp_path):
    nodes = [
        make("MatMul", ["x", "w"], ["a"]),
        make("Tanh", ["a"], ["b"]),
        make("Add", ["a", "b"], ["y"], name="skip"),
    ]
    path = graph(tmp_path / "m.onnx", nodes, w=f4(3, 3))
    refused(path, r"node skip \(Add\): branches cannot be mapped: it joins a, b; supported is one")


def test_what_does_not_lead_to_the_output_is_left_out(tmp_path):
    nodes = [make("MatMul", ["x", "w"], ["y"]), make("Elu", ["y"], ["nowhere"])]
    assert len(read_model(graph(tmp_path / "m.onnx", nodes, w=f4(3, 3))).layers) == 1


def test_a_weight_that_is_computed(tmp_path):
    nodes = [
        make("Constant", [], ["c"], value=onnx.numpy_helper.from_array(f4(3, 3))),
        make("Transpose", ["c"], ["w"], perm=[1, 0]),
        make("MatMul", ["x", "w"], ["y"]),
    ]
    assert np.array_equal(read_model(graph(tmp_path / "m.onnx", nodes)).layers[0].weight, f4(3, 3))
    nodes[1:2] = [make("Shape", ["x"], ["s"]), make("Expand", ["c", "s"], ["w"])]
    refused(graph(tmp_path / "m.onnx", nodes), "input 1 must be a constant")


def test_a_small_file_cannot_fill_the_memory(tmp_path):
    nodes = [make("Add", ["a", "b"], ["w"]), make("MatMul", ["x", "w"], ["y"])]
    path = graph(tmp_path / "m.onnx", nodes, a=f4(100_000, 1), b=f4(1, 100_000))
    refused(path, "input 1 must be a constant")


def test_a_shape_that_fills_the_memory(tmp_path):
    """Beside the way to the output too, since ONNX's shape inference goes everywhere."""
    nodes = [
        make("MatMul", ["x", "w"], ["y"]),
        make("Reshape", ["y", "s"], ["nowhere"], name="r"),
        make("Cast", ["nowhere"], ["never"], to=7),
    ]
    path = graph(tmp_path / "m.onnx", nodes[:1], w=f4(3, 3))
    model = onnx.load(path)
    model.graph.node.extend(nodes[1:])
    model.graph.initializer.append(onnx.numpy_helper.from_array(INT([2**40]), "s"))
    onnx.save(model, path)
    refused(
        path, r"node r \(Reshape\): shape must have at most 67108864 elements, not 1.09951e\+12"
    )


def test_inputs_and_outputs(tmp_path):
    path = graph(tmp_path / "m.onnx", [make("Tanh", ["x"], ["y"])])
    good = onnx.load(path)
    value = onnx.helper.make_tensor_value_info("z", 1, ["n", 3])
    for add, rule in (
        (lambda g: g.input.append(value), "inputs must lead to the output 'y', not z"),
        (lambda g: g.output.append(value), r"model must have one output, not 2 \(y, z\)"),
        (lambda g: g.output.pop(), r"model must have one output, not 0"),
        (lambda g: g.input.pop(), "output 'y' must depend on the input|neither computed"),
        (lambda g: g.output[0].CopyFrom(value), "output 'z' is not computed"),
        (lambda g: g.output[0].CopyFrom(g.input[0]), "at least one operation"),
    ):
        model = onnx.ModelProto()
        model.CopyFrom(good)
        add(model.graph)
        onnx.save(model, path)
        refused(path, rule)


def test_an_output_that_does_not_depend_on_the_input(tmp_path):
    nodes = [make("Identity", ["w"], ["y"]), make("Tanh", ["x"], ["z"])]
    refused(graph(tmp_path / "m.onnx", nodes, w=f4(3)), "output 'y' must depend on the input 'x'")


def test_a_model_that_breaks_onnx_itself(tmp_path):
    path = graph(tmp_path / "m.onnx", [make("Tanh", ["x"], ["y"], foo=1)])
    refused(path, "model must be valid ONNX: .*foo")
    path = chain(tmp_path / "m.onnx", ["n", 3], node("Tanh", "x"))
    model = onnx.load(path)
    model.opset_import[0].version = 999
    onnx.save(model, path)
    refused(path, "opset must be 7 to [0-9]+, not 999")


def test_a_model_that_computes_nothing(tmp_path):
    path = graph(tmp_path / "m.onnx", [make("Identity", ["x"], ["y"])])
    refused(path, "model must have at least one layer, not none")


# Damage


def samples(path):
    dense = (node("Reshape", "x", INT([-1, 3])), node("Gemm", "x", W, B), node("Relu", "x"))
    yield chain(path, ["n", 1, 3], *dense, node("Softmax", "x")).read_bytes()
    layer = node("RNN", "x", f4(1, 4, 3), f4(1, 4, 4), f4(1, 8), hidden_size=4)
    last = (node("Squeeze", "x", INT([1])), node("Slice", "x", INT([-1]), INT([99]), INT([0])))
    yield chain(path, ["T", 2, 3], layer, *last).read_bytes()
    layers = (Layer(f4(4, 3), f4(4), 1, 1, "tanh", f4(4, 4)), Layer(f4(2, 4), f4(2), 1, 1, "relu"))
    Network(layers, 0.5).save(path)
    yield path.read_bytes()


def test_damaged_files_are_read_or_refused(tmp_path):
    """Whatever happens to a file, nothing but a `CompileError` comes out, and no warning."""
    rng = np.random.default_rng(1)
    path = tmp_path / "m.onnx"
    for good in samples(path):
        for _ in range(SOAK_CASES if SOAK else CASES):
            data = np.frombuffer(good, np.uint8).copy()
            where = rng.integers(len(data), size=rng.integers(1, 4))
            data[where] ^= (1 << rng.integers(8, size=len(where))).astype(np.uint8)
            path.write_bytes(data[: rng.integers(len(data)) if rng.uniform() < 0.1 else None])
            with contextlib.suppress(CompileError):
                read_model(path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
