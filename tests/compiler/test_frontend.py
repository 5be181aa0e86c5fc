"""Static models: the network gives onnxruntime's answer, frame by frame."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_models import chain, f4, in_onnxruntime, node, write

from vle.compiler.frontend import import_model, read_model
from vle.sim import Layer, Network

W, B = f4(3, 5), f4(5, seed=1)
DENSE = node("Gemm", "x", W, B)
HEAD = node("MatMul", "x", f4(5, 2, seed=2))


def assert_same(path, x, *, frames=None, layers=None, tolerance=1e-5):
    network = read_model(path)
    expected = in_onnxruntime(path, x)
    found = network.run(x if frames is None else frames)
    assert found.size == expected.size
    spread = max(np.abs(expected).max(), 1e-3)
    assert np.abs(found.ravel() - expected.ravel()).max() <= tolerance * spread
    assert network.aligned
    if layers is not None:
        assert len(network.layers) == layers
    return network


@pytest.mark.parametrize("initializer", [True, False])
@pytest.mark.parametrize(
    "gemm",
    [
        node("Gemm", "x", W),
        node("Gemm", "x", W, B),
        node("Gemm", "x", W, B[:1]),
        node("Gemm", "x", W, B.reshape(1, 5)),
        node("Gemm", "x", W.T, B, transB=1),
        node("Gemm", "x", W, B, alpha=0.5, beta=2.0),
        node("MatMul", "x", W),
    ],
)
def test_matrices(tmp_path, gemm, initializer):
    path = chain(tmp_path / "m.onnx", ["batch", 3], gemm, initializer=initializer)
    assert_same(path, f4(6, 3), layers=1)


@pytest.mark.parametrize(
    "activation",
    [
        node("Relu", "x"),
        node("LeakyRelu", "x"),
        node("LeakyRelu", "x", alpha=0.3),
        node("PRelu", "x", np.float32([0.2])),
        node("PRelu", "x", np.full(5, 0.2, np.float32)),
        node("Tanh", "x"),
        node("Sigmoid", "x"),
        node("Softplus", "x"),
        node("HardSigmoid", "x"),
        node("HardSigmoid", "x", alpha=0.3, beta=0.4),
        node("Clip", "x", np.float32(-1), np.float32(1)),
        node("Clip", "x", np.float32(0), np.float32(1)),
        node("Clip", "x", np.float32(0)),
        node("Clip", "x"),
        node("Max", "x", np.float32(0)),
    ],
)
def test_activations_belong_to_the_layer_below(tmp_path, activation):
    path = chain(tmp_path / "m.onnx", ["batch", 3], DENSE, activation, HEAD)
    assert_same(path, f4(6, 3), layers=2)


@pytest.mark.parametrize(
    "limits",
    [
        node("Clip", "x", np.float32(0), np.float32(6)),
        node("Clip", "x", np.float32(-0.5), np.float32(0.25)),
        node("Clip", "x", np.float32(-0.5)),
        node("Clip", "x", "", np.float32(0.5)),
        node("Min", "x", np.float32(0.5)),
        node("Max", np.float32(-0.5), "x"),
    ],
)
def test_other_limits_are_shifted_and_scaled(tmp_path, limits):
    path = chain(tmp_path / "m.onnx", ["batch", 3], DENSE, limits, HEAD)
    assert_same(path, f4(6, 3), layers=2)


@pytest.mark.parametrize(
    "arithmetic",
    [
        node("Add", "x", B),
        node("Add", B.reshape(1, 5), "x"),
        node("Sub", "x", B),
        node("Sub", B, "x"),
        node("Mul", "x", B),
        node("Div", "x", 2 + np.abs(B)),
        node("Mul", np.float32(3), "x"),
        node("Neg", "x"),
        node("BatchNormalization", "x", B, B - 1, B + 1, B**2, epsilon=1e-3),
    ],
)
@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_arithmetic_joins_the_weights(tmp_path, arithmetic, place):
    first, last = node("Gemm", "x", W, B), node("MatMul", "x", f4(5, 5, seed=2))
    order = {
        "before": (arithmetic, last),
        "between": (first, arithmetic, node("Tanh", "x"), arithmetic, last),
        "after": (first, arithmetic),
    }[place]
    width = 5 if place == "before" else 3
    path = chain(tmp_path / "m.onnx", ["batch", width], *order)
    assert_same(path, f4(6, width, seed=4), layers=2 if place == "between" else 1)


def test_a_lonely_activation_gets_an_identity_matrix_and_a_note(tmp_path):
    relu, tanh = node("Relu", "x"), node("Tanh", "x", name="t")
    path = chain(tmp_path / "m.onnx", ["batch", 3], relu, DENSE, relu, tanh)
    assert_same(path, f4(6, 3), layers=3)
    notes = import_model(path).notes
    assert notes[0] == "relu0 (Relu): an identity matrix of 3 makes it a layer"
    assert notes[1] == "t (Tanh): an identity matrix of 5 makes it a layer"


def test_a_matrix_without_activation_is_a_linear_layer(tmp_path):
    path = chain(tmp_path / "m.onnx", ["batch", 3], DENSE, HEAD, node("Mul", "x", np.float32(2)))
    network = assert_same(path, f4(6, 3), layers=2)
    assert {layer.activation.name for layer in network.layers} == {"identity"}


INT = np.int64


@pytest.mark.parametrize(
    ("shape", "nodes"),
    [
        (["n", 1, 3, 4], [node("Flatten", "x")]),
        (["n", 3, 4], [node("Flatten", "x", axis=-2)]),
        ([6, 3, 4], [node("Reshape", "x", INT([6, 12]))]),
        (["n", 3, 4], [node("Reshape", "x", INT([-1, 12]))]),
        (["n", 3, 4], [node("Reshape", "x", INT([0, 12]))]),
        (["n", 3, 4], [node("Reshape", "x", INT([0, -1]))]),
        (["n", 12], [node("Unsqueeze", "x", INT([1])), node("Squeeze", "x", INT([1]))]),
        (["n", 12], [node("Identity", "x"), node("Dropout", "x")]),
        (["n", 12], [node("Cast", "x", to=11), node("Cast", "x", to=1)]),
        (["n", 1, 12], [node("Transpose", "x", perm=[1, 0, 2]), node("Squeeze", "x", INT([0]))]),
    ],
)
def test_what_leaves_a_frame_as_it_is(tmp_path, shape, nodes):
    path = chain(tmp_path / "m.onnx", shape, *nodes, node("Gemm", "x", f4(12, 2)))
    x = f4(6, *(size for size in shape[1:]))
    assert_same(path, x, frames=x.reshape(6, 12), layers=1)


def test_a_reshape_whose_shape_is_computed_from_the_batch(tmp_path):
    protos = [
        onnx.helper.make_node("Shape", ["x"], ["s"]),
        onnx.helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        onnx.helper.make_node("Concat", ["n", "rest"], ["to"], axis=0),
        onnx.helper.make_node("Reshape", ["x", "to"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    arrays = {"zero": INT([0]), "rest": INT([-1]), "w": f4(12, 2)}
    constants = [onnx.numpy_helper.from_array(a, name) for name, a in arrays.items()]
    path = write(tmp_path / "m.onnx", ["n", 3, 4], protos, constants)
    x = f4(6, 3, 4)
    assert_same(path, x, frames=x.reshape(6, 12), layers=1)


def test_a_frame_of_one_number(tmp_path):
    path = chain(
        tmp_path / "m.onnx",
        ["n", 1],
        node("Gemm", "x", f4(1, 3)),
        node("Tanh", "x"),
        node("Gemm", "x", f4(3, 1)),
        node("Squeeze", "x", INT([1])),
    )
    assert_same(path, f4(6, 1), layers=2)


def test_leading_axes_may_be_many(tmp_path):
    path = chain(
        tmp_path / "m.onnx", ["T", "batch", 3], node("MatMul", "x", W), node("Add", "x", B)
    )
    assert_same(path, f4(4, 2, 3), layers=1)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "ArgMax"])
@pytest.mark.parametrize("opset", [11, 21])
def test_the_last_softmax_is_left_to_the_host_and_said(tmp_path, operator, opset):
    last = node(operator, "x", axis=1)
    path = chain(tmp_path / "m.onnx", ["n", 3], DENSE, last, opset=opset)
    imported = import_model(path)
    x = f4(6, 3)
    scores, answer = imported.network.run(x), in_onnxruntime(path, x)
    best = answer.ravel() if operator == "ArgMax" else answer.argmax(-1)
    assert np.array_equal(scores.argmax(-1), best)
    assert imported.notes[0].startswith(f"{operator.lower()}1 ({operator}) is left to the host")


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 15, 17, 20, 22, 23])
def test_old_and_new_opsets(tmp_path, opset):
    old = opset < 11
    clip = node("Clip", "x", min=-1.0, max=1.0) if old else node("Clip", "x", -np.ones((), "f4"))
    squeeze = opset < 13
    one = {"axes": [1]} if squeeze else {}
    axes = () if squeeze else (INT([1]),)
    path = chain(
        tmp_path / "m.onnx",
        ["n", 3],
        node("Unsqueeze", "x", *axes, **one),
        node("Flatten", "x"),
        DENSE,
        node("Dropout", "x"),
        clip,
        HEAD,
        opset=opset,
    )
    assert_same(path, f4(6, 3), layers=2)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_float_types(tmp_path, kind):
    proto = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    path = chain(tmp_path / "m.onnx", ["n", 3], node("MatMul", "x", W.astype(kind)), kind=proto)
    tolerance = 2e-3 if kind == "f2" else 1e-6
    assert_same(path, f4(6, 3).astype(kind), layers=1, tolerance=tolerance)


def test_external_data_and_inputs_that_are_initializers(tmp_path):
    path = chain(tmp_path / "m.onnx", ["n", 3], node("Gemm", "x", f4(3, 400)))
    model = onnx.load(path)
    model.graph.input.append(onnx.helper.make_tensor_value_info("c0", 1, [3, 400]))
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=10)
    assert (tmp_path / "w.bin").exists()
    assert_same(path, f4(6, 3), layers=1)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(Exception, match=r"m\.onnx: external data must be readable"):
        read_model(path)


def test_local_functions_of_other_domains_are_inlined(tmp_path):
    function = onnx.parser.parse_function(
        '<domain: "mine", opset_import: ["": 21]>'
        "Dense (x, w) => (y) { z = MatMul(x, w) y = Tanh(z) }"
    )
    path = chain(
        tmp_path / "m.onnx", ["n", 3], node("Dense", "x", W, domain="mine"), functions=[function]
    )
    assert_same(path, f4(6, 3), layers=1)


def test_our_own_files_come_back_equal(tmp_path):
    layer = Layer(f4(4, 3), f4(4), 1.0, 0.5, "tanh", recurrent=f4(4, 4))
    network = Network((layer,), 0.1, gamma=0.5)
    network.save(tmp_path / "n.onnx")
    assert read_model(tmp_path / "n.onnx") == network


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    widths=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    operators=st.lists(
        st.sampled_from(["Relu", "Tanh", "Sigmoid", "Softplus", "LeakyRelu", "HardSigmoid", "Neg"])
    ),
)
def test_any_chain(tmp_path_factory, seed, widths, operators):
    rng = np.random.default_rng(seed)
    matrices = [
        node("Gemm", "x", f4(a, b, seed=seed + i), f4(b, seed=seed))
        for i, (a, b) in enumerate(pairwise(widths))
    ]
    rest = [node(operator, "x") for operator in operators]
    order = rng.permutation([0] * len(matrices) + [1] * len(rest))
    nodes = [(rest if which else matrices).pop(0) for which in order]
    path = chain(tmp_path_factory.mktemp("any") / "m.onnx", ["n", widths[0]], *nodes)
    assert_same(path, f4(5, widths[0], seed=seed))
