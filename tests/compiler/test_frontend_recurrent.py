"""Elman layers: the network gives onnxruntime's answer in every step."""

import numpy as np
import onnx
import pytest
from onnx_models import chain, f4, in_onnxruntime, node, write

from vle.compiler import compile_model
from vle.compiler.frontend import import_model, read_model
from vle.errors import CompileError

INT = np.int64
W, R, B = f4(1, 4, 3), f4(1, 4, 4, seed=1, scale=0.4), f4(1, 8, seed=2)
W2, R2, B2 = f4(1, 5, 4, seed=3), f4(1, 5, 5, seed=4, scale=0.4), f4(1, 10, seed=5)
SQUEEZE = node("Squeeze", "x", INT([1]))
HEAD = (node("MatMul", "x", f4(5, 2, seed=6)), node("Add", "x", f4(2, seed=7)))


def rnn(*operands, hidden=4, **attributes):
    return node("RNN", "x", *operands, hidden_size=hidden, **attributes)


def assert_same(path, x, *, last=False, swap=False):
    expected = in_onnxruntime(path, x)
    found = read_model(path).run(x.swapaxes(0, 1) if swap else x)
    found = found[-1] if last else found.swapaxes(0, 1) if swap else found
    assert found.size == expected.size
    spread = np.abs(expected).max()
    assert np.abs(found.ravel() - expected.ravel()).max() <= 1e-5 * spread


@pytest.mark.parametrize(
    "layer",
    [
        rnn(W, R),
        rnn(W, R, B),
        rnn(W, R, B, activations=["Relu"]),
        rnn(W, R, B, activations=["Sigmoid"]),
        rnn(W, R, B, activations=["LeakyRelu"], activation_alpha=[0.2]),
        rnn(W, R, B, activations=["HardSigmoid"], activation_alpha=[0.3], activation_beta=[0.4]),
        rnn(W, R, B, "", np.zeros((1, 2, 4), "f4")),
    ],
)
def test_one_layer_over_1000_steps(tmp_path, layer):
    path = chain(tmp_path / "m.onnx", ["T", 2, 3], layer, SQUEEZE)
    assert_same(path, f4(1000, 2, 3))
    assert len(read_model(path).layers) == 1


@pytest.mark.parametrize(
    ("start", "activation"),
    [
        (np.tile(f4(4, seed=3), (1, 2, 1)), "Tanh"),
        (np.full((1, 2, 4), 0.7, "f4"), "Relu"),
        (np.full((1, 2, 4), -0.7, "f4"), "Sigmoid"),
        (np.full((1, 2, 4), 2.5, "f4"), "HardSigmoid"),
    ],
)
def test_an_initial_state_costs_one_neuron(tmp_path, start, activation):
    layer = rnn(W, R * 0.3, B, "", start, activations=[activation])
    path = chain(tmp_path / "m.onnx", ["T", 2, 3], layer, SQUEEZE, node("MatMul", "x", W2[0].T))
    assert_same(path, f4(20, 2, 3))
    imported = import_model(path)
    assert [layer.outputs for layer in imported.network.layers] == [5, 5]
    assert "costs one neuron more" in imported.notes[0]
    path = chain(tmp_path / "m.onnx", ["T", 2, 3], layer, SQUEEZE)
    assert_same(path, f4(20, 2, 3))
    assert [layer.outputs for layer in read_model(path).layers] == [5, 4]


def test_an_initial_state_in_integers(tmp_path):
    start = np.tile(f4(4, seed=3), (1, 2, 1))
    layer = rnn(W, R, B, "", start)
    path = chain(tmp_path / "m.onnx", ["T", 2, 3], layer, SQUEEZE, node("MatMul", "x", W2[0].T))
    x = f4(40, 2, 3)
    found = compile_model(path, calibration=x).run(x)
    expected = in_onnxruntime(path, x)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_stacked_and_mixed_with_dense_layers(tmp_path):
    path = chain(
        tmp_path / "m.onnx",
        ["T", "batch", 6],
        node("Sub", "x", f4(6)),
        node("MatMul", "x", f4(6, 3)),
        node("Tanh", "x"),
        rnn(W, R, B),
        SQUEEZE,
        node("Mul", "x", f4(4)),
        rnn(W2, R2, B2, hidden=5),
        SQUEEZE,
        *HEAD,
        node("LogSoftmax", "x"),
    )
    network = read_model(path)
    assert [layer.recurrent is not None for layer in network.layers] == [False, True, True, False]
    x = f4(50, 3, 6)
    scores, expected = network.run(x), in_onnxruntime(path, x)
    shift = np.log(np.exp(scores).sum(-1, keepdims=True))
    assert np.abs(scores - shift - expected).max() < 1e-5


def test_the_batch_may_come_first(tmp_path):
    swap = node("Transpose", "x", perm=[1, 0, 2])
    path = chain(tmp_path / "m.onnx", ["batch", "T", 3], swap, rnn(W, R, B), SQUEEZE, swap)
    assert_same(path, f4(2, 9, 3), swap=True)


LAST = [
    [rnn(W2[:, :, :3], R2, B2, hidden=5), SQUEEZE, node("Gather", "x", INT(-1), axis=0)],
    [rnn(W2[:, :, :3], R2, B2, hidden=5), SQUEEZE, node("Gather", "x", INT([-1]), axis=0)],
    [
        rnn(W2[:, :, :3], R2, B2, hidden=5),
        node("Slice", "x", INT([-1]), INT([2**63 - 1]), INT([0])),
        node("Reshape", "x", INT([-1, 5])),
    ],
    [rnn(W2[:, :, :3], R2, B2, hidden=5, output=["", "h"]), node("Squeeze", "x", INT([0]))],
]


@pytest.mark.parametrize("nodes", LAST)
def test_the_last_step_alone(tmp_path, nodes):
    path = chain(tmp_path / "m.onnx", ["T", "batch", 3], *nodes, *HEAD)
    assert_same(path, f4(9, 2, 3), last=True)
    (note,) = import_model(path).notes
    assert "the output of a sequence's last step" in note


def test_an_initial_state_of_zeros_that_depends_on_the_batch(tmp_path):
    make = onnx.helper.make_node
    protos = [
        make("Shape", ["x"], ["n"], start=1, end=2),
        make("Concat", ["one", "n", "four"], ["shape"], axis=0),
        make("ConstantOfShape", ["shape"], ["zeros"]),
        make("RNN", ["x", "w", "r", "b", "", "zeros"], ["h", "h_last"], hidden_size=4),
        make("Squeeze", ["h", "one"], ["y"]),
    ]
    arrays = {"one": INT([1]), "four": INT([4]), "w": W, "r": R, "b": B}
    constants = [onnx.numpy_helper.from_array(a, name) for name, a in arrays.items()]
    path = write(tmp_path / "m.onnx", ["T", "batch", 3], protos, constants)
    assert_same(path, f4(9, 2, 3))
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("h_last", 1, [1, "batch", 4]))
    onnx.save(model, path)
    assert_same(path, f4(9, 2, 3))
    assert import_model(path).notes == ("output h_last left out: the last state of an RNN",)


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        (rnn(W, R, B, direction="reverse"), "direction must be forward, not reverse"),
        (rnn(W, R, B, clip=1.0), "clip must be left out"),
        (rnn(W, R, B, activations=["Elu"]), "activations must be one of .*, not Elu"),
        (rnn(W, R, B, INT([3, 3]).astype("i4")), "sequence_lens must be left out"),
        (rnn(W, R, B, "", f4(1, 2, 4)), "initial_h must be the same for all sequences"),
        (rnn(W, R[:, :3], B), r"R must be of shape \(1, 4, 4\), not \(1, 3, 4\)"),
        (rnn(W * np.inf, R, B), "weight must be finite, not "),
        (rnn(W, R * np.nan, B), "recurrent must be finite, not nan"),
    ],
)
def test_what_an_rnn_cannot_be(tmp_path, layer, rule):
    path = chain(tmp_path / "m.onnx", ["T", 2, 3], layer, SQUEEZE)
    with pytest.raises(CompileError, match=rf"m\.onnx: node rnn0 \(RNN\): {rule}"):
        read_model(path)


@pytest.mark.parametrize(
    ("node_", "rule"),
    [
        (node("Gather", "x", INT(0), axis=0), "must take the last step of a sequence that an RNN"),
        (node("Gather", "x", INT(-1), axis=1), "must take the last step of a sequence that an RNN"),
        (node("Slice", "x", INT([-2]), INT([99]), INT([0])), "must take the last step"),
        (node("Slice", "x", INT([-1]), INT([-1]), INT([0])), "last step of a sequence, up to"),
        (node("Flatten", "x", axis=1), "must not merge the frame or time with other axes"),
        (node("MatMul", np.ones((2, 2), "f4"), "x"), "the signal must be the first operand"),
        (node("Transpose", "x", perm=[0, 2, 1]), None),
    ],
)
def test_what_may_not_follow_an_rnn(tmp_path, node_, rule):
    path = chain(
        tmp_path / "m.onnx",
        ["T", 2, 3],
        rnn(W, R, B),
        SQUEEZE,
        node_,
        node("MatMul", "x", f4(2, 2)),
    )
    with pytest.raises(CompileError, match=rule or "must act on axis 1, which carries the frame"):
        read_model(path)
