"""A feedforward ONNX network as an LE network: frame t + L - 1 is onnxruntime's answer to frame t.

Within the bound that is derived for 16 bits, for every input in the stated range: random frames,
all or many of its corners, and frames climbed to from the worst of them.
"""

import warnings
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lengths import runs
from onnx_models import chain, in_onnxruntime, node

from vle.compiler import compile_model

FUNCTIONS = ("Relu", "Tanh", "Sigmoid", "Softplus", "LeakyRelu", "HardSigmoid", "Identity")
SINGLE = 3e-6  # relative: onnxruntime answers in single precision


def saved(path, weights, biases, functions):
    """Gemm and activation, layer by layer."""
    nodes = []
    for weight, bias, function in zip(weights, biases, functions, strict=True):
        nodes.append(node("Gemm", "x", weight.T.astype("f4"), bias.astype("f4")))
        if function != "Identity":
            nodes.append(node(function, "x"))
    return chain(path, ["n", weights[0].shape[1]], *nodes)


def corners(rng, low, high, most=256):
    """Ends of the range: all of them for a few inputs, else random ones and each end alone."""
    n = len(low)
    every = list(product([False, True], repeat=n)) if n <= 7 else []
    signs = np.array(every) if every else rng.integers(0, 2, (most, n)).astype(bool)
    alone = np.concatenate([np.eye(n, dtype=bool), ~np.eye(n, dtype=bool)])
    return np.where(np.concatenate([signs, alone]), high, low)


def errors(design, path, x):
    """How far each frame's answer is from onnxruntime's, frames following each other."""
    late = design.latency_steps
    frames = np.concatenate([x, x[:1].repeat(late, axis=0)])
    found = design.run(frames, aligned=False)[late:]
    assert design.input_saturation == 0
    assert not any(map(any, design.saturation))
    expected = in_onnxruntime(path, x.astype(np.float32))
    return np.abs(found - expected).max(axis=1), SINGLE * np.abs(expected).max()


def climbed(rng, design, path, x, *, low, high, rounds):
    """Change single inputs of the worst frames to the ends or to chance, and keep what is worse."""
    for _ in range(rounds):
        off, _ = errors(design, path, x)
        worst = x[np.argsort(-off)[:16]].repeat(12, axis=0)
        place = rng.integers(0, x.shape[1], len(worst))
        chosen = np.stack([low, high, rng.uniform(low, high)])[rng.integers(0, 3, len(worst))]
        worst[np.arange(len(worst)), place] = chosen[np.arange(len(worst)), place]
        x = np.concatenate([x[np.argsort(-off)[:16]], worst]).astype(np.float32).astype(float)
    return x


def assert_within(rng, design, path, ends, rounds):
    low, high = (np.full(design.network.layers[0].inputs, end) for end in ends)
    bound = design.report["layers"][-1]["error_bound"]
    x = np.concatenate([corners(rng, low, high), rng.uniform(low, high, (64, len(low)))])
    x = x[rng.permutation(len(x))].astype(np.float32).astype(float)
    part = 0.0
    for frames in (x, climbed(rng, design, path, x, low=low, high=high, rounds=rounds)):
        off, single = errors(design, path, frames)
        assert off.max() <= bound + single
        part = max(part, off.max() / bound)
    return part


@settings(max_examples=runs(12), deadline=None)
@example([1, 1, 1], "Identity", 1.0, 0)
@example([2, 1, 1], "Identity", 1.0, 0)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=6),
    st.sampled_from(FUNCTIONS),
    st.sampled_from([1.0, 0.25, 7.0]),
    st.integers(0, 2**32 - 1),
)
def test_every_network_and_every_input(tmp_path_factory, sizes, function, size, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("f") / "m.onnx"
    pairs = list(pairwise(sizes))
    weights = [rng.normal(size=(high, low)) / np.sqrt(low) for low, high in pairs]
    biases = [0.3 * rng.normal(size=high) for _, high in pairs]
    functions = [function] * (len(pairs) - 1) + ["Identity"]
    saved(path, weights, biases, functions)
    design = compile_model(path, input_range=(-size, size), lanes=2)
    one_each = function == "Identity" and 1 in sizes[:-1]  # a matrix that only picks is no layer
    assert design.latency_steps == len(pairs) - 1 or one_each
    assert_within(rng, design, path, (-size, size), rounds=2)


@pytest.mark.parametrize("function", ["relu", "tanh"])
def test_deep_trained_networks(tmp_path, function):
    """Seven layers, trained on images of digits."""
    from sklearn.datasets import load_digits  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    images, classes = load_digits(return_X_y=True)
    images = images / 16.0
    hidden = (24,) * 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        options = {"max_iter": 25, "learning_rate_init": 0.005, "random_state": 0}
        model = MLPClassifier(hidden, activation=function, **options)
        model.fit(images[:1200], classes[:1200])
    assert model.score(images[1200:], classes[1200:]) > 0.75
    path = tmp_path / "deep.onnx"
    functions = [function.capitalize()] * 6 + ["Identity"]
    saved(path, [w.T for w in model.coefs_], model.intercepts_, functions)
    rng = np.random.default_rng(0)
    design = compile_model(path, input_range=(0, 1), lanes=16)
    part = assert_within(rng, design, path, (0, 1), rounds=4)
    held_out = images[1200:].astype(np.float32).astype(float)
    off, single = errors(design, path, held_out)
    assert off.max() <= design.report["layers"][-1]["error_bound"] + single
    assert part > 1e-5  # the bound says something, through seven layers
