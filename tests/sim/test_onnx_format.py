"""The file: equal when read back, valid for the checker, and the same answer in onnxruntime."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from vle.sim import Activation, Layer, Network, onnx_format
from vle.sim.activations import NAMES


def random_network(rng, sizes, *, activations=NAMES, recurrent=(False,), backward=False, **more):
    layers = []
    for index, (low, high) in enumerate(pairwise(sizes)):
        own = recurrent[index % len(recurrent)]
        layers.append(
            Layer(
                weight=rng.normal(size=(high, low)) / np.sqrt(low),
                bias=0.3 * rng.normal(size=high),
                tau_m=rng.uniform(0.2, 2, high),
                tau_r=rng.uniform(0.2, 2, high),
                activation=Activation(activations[index % len(activations)]),
                recurrent=0.5 * rng.normal(size=(high, high)) / np.sqrt(high) if own else None,
                backward=rng.normal(size=(low, high)) if backward else None,
            )
        )
    return Network(tuple(layers), 0.2, **more)


def in_onnxruntime(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def assert_same_answer(network, path, x, tolerance=1e-5):
    expected = network.run(x)
    found = in_onnxruntime(path, x)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    spread = max(np.ptp(expected), np.abs(expected).max())
    assert np.abs(found - expected).max() <= tolerance * spread


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("recurrent", [(False,), (True,), (True, False)])
def test_onnxruntime_gives_the_same_answer_over_1000_steps(tmp_path, recurrent, aligned):
    rng = np.random.default_rng(1)
    network = random_network(rng, (5, 7, 6, 8, 9, 4, 6, 7, 3), recurrent=recurrent, aligned=aligned)
    network.save(tmp_path / "n.onnx")
    x = rng.normal(size=(1000, 2, 5)).astype(np.float32)
    assert_same_answer(network, tmp_path / "n.onnx", x, 1e-6)
    assert_same_answer(network, tmp_path / "n.onnx", x[:1, :1])
    assert Network.load(tmp_path / "n.onnx") == network


@pytest.mark.parametrize("activation", NAMES)
def test_each_activation(tmp_path, activation):
    rng = np.random.default_rng(2)
    constants = {"leaky_relu": {"alpha": 0.3}, "hard_sigmoid": {"alpha": 1 / 6, "beta": 0.4}}
    layer = Layer(
        weight=3 * rng.normal(size=(6, 4)),
        bias=np.zeros(6),
        tau_m=1.0,
        tau_r=0.5,
        activation=Activation(activation, **constants.get(activation, {})),
    )
    network = Network((layer,), 0.1)
    network.save(tmp_path / "n.onnx")
    assert_same_answer(network, tmp_path / "n.onnx", rng.normal(size=(50, 3, 4)).astype("f4"))
    assert Network.load(tmp_path / "n.onnx") == network


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    recurrent=st.lists(st.booleans(), min_size=1, max_size=3),
    aligned=st.booleans(),
    steps=st.integers(1, 12),
    batch=st.integers(1, 3),
)
def test_any_network(tmp_path_factory, seed, sizes, recurrent, aligned, steps, batch):  # noqa: PLR0917
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("any") / "n.onnx"
    network = random_network(
        rng,
        sizes,
        activations=rng.permutation(NAMES),
        recurrent=recurrent,
        backward=bool(seed % 2),
        aligned=aligned,
        loss="cross_entropy",
        gamma=rng.uniform(),
        beta=0.1,
        plasticity="filtered",
        error_recurrence=False,
    )
    network.save(path)
    assert Network.load(path) == network
    x = rng.normal(size=(steps, batch, sizes[0])).astype(np.float32)
    assert_same_answer(network, path, x)


def test_a_saved_file_is_plain_onnx_with_dynamic_axes(tmp_path):
    network = random_network(np.random.default_rng(3), (3, 4, 2), recurrent=(True,), backward=True)
    network.save(tmp_path / "n.onnx")
    model = onnx.load(tmp_path / "n.onnx")
    onnx.checker.check_model(model, full_check=True)
    (x,), (y,) = model.graph.input, model.graph.output
    for value, width in ((x, 3), (y, 2)):
        shape = value.type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in shape] == ["T", "batch", width]
    assert [i.name for i in model.graph.initializer if "layer1" in i.name] == [
        f"layer1.{what}" for what in ("weight", "bias", "tau_m", "tau_r", "recurrent")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


def test_metadata_travels_along(tmp_path):
    network = random_network(np.random.default_rng(4), (2, 2))
    onnx_format.save(network, tmp_path / "n.onnx", metadata={"formats": [1, 2]})
    assert onnx_format.read_metadata(tmp_path / "n.onnx") == {"formats": [1, 2]}
    assert Network.load(tmp_path / "n.onnx") == network
    network.save(tmp_path / "n.onnx")
    assert onnx_format.read_metadata(tmp_path / "n.onnx") == {}


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    network = random_network(np.random.default_rng(5), (2, 2))
    network.save(tmp_path / "n.onnx")
    before = (tmp_path / "n.onnx").read_bytes()

    def full(self, data):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        random_network(np.random.default_rng(6), (2, 3)).save(tmp_path / "n.onnx")
    assert (tmp_path / "n.onnx").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


# Bad files


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "n.onnx"
    random_network(np.random.default_rng(7), (3, 4, 2), recurrent=(True, False)).save(path)
    return path


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        Network.load(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError, match="must be an ONNX file, not a folder"):
        Network.load(tmp_path)


def test_every_truncation_is_refused(saved):
    data = saved.read_bytes()
    for length in [*range(0, len(data), 53), len(data) - 1]:
        saved.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"n\.onnx"):
            Network.load(saved)


def edit_initializer(path, name, change):
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "layer0.weight",
            lambda a: a * np.nan,
            r"node layer0 \(RecurrentLayer\): weight must be f",
        ),
        ("layer1.bias", lambda a: a + np.inf, r"node layer1 \(Layer\): bias must be finite"),
        ("layer1.tau_m", lambda a: 0 * a, r"node layer1 \(Layer\): tau_m must be positive"),
        ("layer1.tau_r", lambda a: -a, r"node layer1 \(Layer\): tau_r must be positive"),
        ("dt", lambda a: 100 * a, "dt must be positive and at most the smallest"),
        ("layer1.bias", lambda a: a[:1], "bias must be of shape"),
        ("layer1.bias", lambda a: a[0], "bias must be a matrix or a vector"),
        ("layer1.weight", lambda a: a[:, :3], "inputs of layer 1 must be"),
        ("layer1.weight", lambda a: a.astype("f4"), "'layer1.weight' must be float64, not float32"),
        ("layer0.recurrent", lambda a: a[:2], "recurrent must be of shape"),
    ],
)
def test_wrong_numbers_are_refused_by_name(saved, name, change, message):
    edit_initializer(saved, name, change)
    with pytest.raises(ValueError, match=f"n.onnx: .*{message}"):
        Network.load(saved)


def test_a_missing_parameter_is_refused_by_name(saved):
    model = onnx.load(saved)
    for tensor in list(model.graph.initializer):
        if tensor.name == "layer1.tau_r":
            model.graph.initializer.remove(tensor)
    onnx.save(model, saved)
    with pytest.raises(ValueError, match=r"node layer1 \(Layer\): initializer 'layer1.tau_r'"):
        Network.load(saved)


def test_a_changed_graph_or_function_is_refused(saved):
    good = onnx.load(saved)
    model = onnx.load(saved)
    scan = next(node for node in model.graph.node if node.op_type == "Scan")
    next(a for a in scan.attribute if a.name == "body").g.node[2].op_type = "Relu"
    onnx.save(model, saved)
    with pytest.raises(ValueError, match="must be as the network is written"):
        Network.load(saved)
    good.functions[0].node[0].op_type = "Neg"
    onnx.save(good, saved)
    with pytest.raises(ValueError, match="functions must be as the network is written"):
        Network.load(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON"),
        ("[]", "must be a JSON object"),
        ('{"format": 99}', "format must be 1, not 99"),
        ('{"format": 1}', "setting 'loss' is missing"),
        ('{"format": 1, "backward": {"layer0": {"shape": [2]}}}', "backward must be matrices"),
    ],
)
def test_wrong_settings_are_refused(saved, text, message):
    model = onnx.load(saved)
    model.metadata_props[0].value = text
    onnx.save(model, saved)
    with pytest.raises(ValueError, match=message):
        Network.load(saved)


def test_a_model_of_other_origin_is_refused(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(n, 1, [1, 2]) for n in "xy"]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:])),
        tmp_path / "other.onnx",
    )
    with pytest.raises(ValueError, match="must be a network that vle wrote"):
        Network.load(tmp_path / "other.onnx")
