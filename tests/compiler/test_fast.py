"""The fast models against those in Python: every word of every state, bit for bit."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from random_learning import random_network, with_rates
from random_specs import random_spec

from vle.compiler import fast
from vle.compiler import run as design_run
from vle.compiler.activation import PiecewiseLinear
from vle.compiler.fast import KINDS, CompilerError, Probe, build, checks
from vle.compiler.fast.checks import is_narrow
from vle.compiler.fixed import Fixed
from vle.compiler.layer import Saturation
from vle.compiler.learning.derivative import Pieces
from vle.compiler.learning.network import LearningNetwork, LearnState, Target
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import Points
from vle.compiler.network import NetworkSpec
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.learning import LearningOptions, learning_spec
from vle.compiler.quantization.quantize import quantize
from vle.sim import Layer, Network

SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=5)
SEEDS = st.integers(0, 2**32 - 1)
ONES = np.ones(2, np.int64)


class Signals:
    """Frames, targets and flags of a run, in which all happens now and then."""

    def __init__(self, rng, net, steps):
        fmt, top = net.network.layers[0].x_format, net.network.layers[-1]
        self.x = rng.integers(fmt.low, fmt.high + 1, (steps, net.network.layers[0].inputs))
        span = 1 << int(rng.integers(8, 20))
        self.target = rng.integers(-span, span, (steps, top.outputs))
        self.has_target = rng.random(steps) < 0.8
        self.is_error = rng.random(steps) < 0.3
        self.start = rng.random(steps) < 0.05
        self.freeze = rng.random(steps) < 0.2

    def flags(self, part=slice(None)):
        names = ("has_target", "is_error", "start", "freeze")
        return {name: getattr(self, name)[part] for name in names}

    def fast(self, net, state, part=slice(None), **options):
        return fast.run(net, state, self.x[part], self.target[part], **self.flags(part), **options)

    def slow_step(self, net, state, t):
        told = Target(self.target[t], bool(self.is_error[t])) if self.has_target[t] else None
        start, learn = bool(self.start[t]), not self.freeze[t]
        return net.step(state, self.x[t], told, start=start, learn=learn)


def words_of(state):
    """All leaves of a state, by name."""
    if state is None or isinstance(state, (int, bool)):
        return [state]
    if isinstance(state, np.ndarray):
        return [(state.shape, state.dtype.str, state.tolist())]
    if isinstance(state, tuple):
        return [leaf for part in state for leaf in words_of(part)]
    return [(k, leaf) for k, part in vars(state).items() for leaf in words_of(part)]


def assert_same(got: LearnState, wanted: LearnState):
    for a, b in zip(got.run.layers, wanted.run.layers, strict=True):
        assert words_of(a) == words_of(b)
    assert got.run.fresh == wanted.run.fresh
    for a, b in zip(got.learning, wanted.learning, strict=True):
        for name in a._fields:
            assert words_of(getattr(a, name)) == words_of(getattr(b, name)), name


def assert_equal_run(net, signals, part=1):
    """The same words after every `part` steps, outputs and counts included."""
    steps = len(signals.x)
    state = start = net.reset()
    clamped = [np.zeros(5, int) for _ in net.learning]
    saturation = [np.zeros(3, int) for _ in net.learning]
    for first in range(0, steps, part):
        got = signals.fast(net, state, slice(first, first + part))
        clamped = [a + b for a, b in zip(clamped, got.clamped, strict=True)]
        saturation = [a + b for a, b in zip(saturation, got.saturation, strict=True)]
        for t in range(first, min(first + part, steps)):
            state, results = signals.slow_step(net, state, t)
            assert got.output[t - first].tolist() == results[-1].r.tolist()
            clamped = [a - b.clamped for a, b in zip(clamped, results, strict=True)]
            saturation = [a - b.saturation for a, b in zip(saturation, results, strict=True)]
        assert_same(got.state, state)
        assert not np.any(clamped)
        assert not np.any(saturation)
    assert_same(signals.fast(net, start).state, state)


@settings(max_examples=runs(50))
@given(SHAPES, SEEDS)
def test_every_word_after_every_step(shape, seed):
    rng = np.random.default_rng(seed)
    net = random_network(rng, shape)
    assert_equal_run(net, Signals(rng, net, 12))


@settings(max_examples=runs(6))
@given(SHAPES, SEEDS, st.integers(2, 60))
def test_long_runs_compared_at_many_points(shape, seed, part):
    rng = np.random.default_rng(seed)
    net = random_network(rng, shape)
    assert_equal_run(net, Signals(rng, net, 240), part)


@pytest.mark.parametrize("time_constants", [False, True])
@pytest.mark.parametrize("plasticity", ["prospective", "filtered"])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_every_rule_in_both_kinds_of_words(loss, plasticity, time_constants, monkeypatch):
    moved, narrow, clamped = 0, 0, np.zeros(5, int)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        fixed = {"loss": loss, "plasticity": plasticity, "time_constants": time_constants}
        net = random_network(rng, [3, 4, 2], **fixed)
        signals = Signals(rng, net, 60)
        assert_equal_run(net, signals, 10)
        narrow += all(map(is_narrow, net.network.layers, net.learning))
        after = signals.fast(net, net.reset())
        with monkeypatch.context() as patch:
            patch.setattr(checks, "is_narrow", lambda *_: False)
            assert_same(signals.fast(net, net.reset()).state, after.state)
        clamped += np.sum(after.clamped, axis=0)
        pairs = zip(after.state.learning, net.reset().learning, strict=True)
        moved += sum(not np.array_equal(a.weight, b.weight) for a, b in pairs)
    assert narrow
    assert moved >= 4  # of 12 layers; random activations may be flat, random rates small
    assert clamped[:3].all()


@pytest.mark.parametrize("plasticity", ["prospective", "filtered"])
@pytest.mark.parametrize("activations", [("tanh", "softplus"), ("relu", "sigmoid")])
def test_a_network_that_learns_a_signal(activations, plasticity):
    rng = np.random.default_rng(0)
    sizes, time = (2, 20, 18, 2), 0.2 * np.arange(600)
    layers = [
        Layer(rng.normal(0, b**-0.5, (a, b)), np.zeros(a), 1.2, 0.6, name, own)
        for (b, a), name, own in zip(
            pairwise(sizes),
            (*activations, "identity"),
            (None, rng.normal(0, 0.1, (18, 18)), None),
            strict=True,
        )
    ]
    network = Network(tuple(layers), 0.2, plasticity=plasticity)
    x = np.stack([np.sin(0.3 * time), np.cos(0.17 * time)], -1)
    options = LearningOptions(rate=0.01)
    ranges = calibrate(network, x, None).ranges
    words = quantize(network, ranges, Widths(), learning=options).network
    specs = tuple(learning_spec(network, k, one, options) for k, one in enumerate(words.layers))
    net = LearningNetwork(words, specs, "squared_error")
    signals = Signals(rng, net, len(x))
    signals.x = words.layers[0].x_format.quantize(x)
    signals.target = words.layers[-1].rate_format.quantize(x[:, ::-1] * 0.5)
    signals.has_target[:] = True
    for name in ("is_error", "start", "freeze"):
        getattr(signals, name)[:] = False
    assert_equal_run(net, signals, 100)
    after = signals.fast(net, net.reset())
    for learned, layer in zip(after.state.learning, words.layers, strict=True):
        assert np.mean(learned.weight != layer.weight) > 0.5


@pytest.mark.parametrize("columns", [15, 16, 17, 33, 70])
def test_rows_of_any_length(columns):
    rng = np.random.default_rng(columns)
    net = random_network(rng, [columns, 9, 3], time_constants=False)
    assert_equal_run(net, Signals(rng, net, 40), 8)


def test_words_at_the_ends_of_their_formats():
    """Signals, inputs and weights at their lowest and highest in the words of 32 bits."""
    clamped = np.zeros(5, int)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        net = random_network(rng, [4, 4], plasticity="prospective", time_constants=False)
        net = with_rates(net, Rate(65535, -20), Rate())
        signals = Signals(rng, net, 30)
        fmt = net.network.layers[0].x_format
        signals.x = rng.choice([fmt.low, fmt.high], signals.x.shape)
        signals.target = rng.choice([-(1 << 30), 1 << 30], signals.target.shape)
        assert_equal_run(net, signals, 10)
        clamped += np.sum(signals.fast(net, net.reset()).clamped, axis=0)
    assert clamped[:4].all()


@pytest.mark.parametrize("update_shift", [8, 16, 17, 18, 25])
def test_the_last_bit_of_a_draw(update_shift):
    """So many updates that one bit of 17 decides some of them."""
    rng = np.random.default_rng(2)
    fixed = {"loss": "squared_error", "plasticity": "prospective", "time_constants": False}
    net = random_network(rng, [160, 100], **fixed)
    (spec,) = net.learning
    spec = replace(spec, update_shift=update_shift, derivative=Pieces(1 << 12, 1 << 12), loop=False)
    straight = PiecewiseLinear(1, 1, 0, 0, -8, 7, True, True)
    layer = replace(net.network.layers[0], activation=straight, weight_width=16)
    spec = replace(spec, prime_shift=12, kappa=spec.kappa * 0 + (1 << spec.kappa_shift))
    point = Points.of(layer, spec).signal - net.error_bits
    spec = replace(spec, rate=Rate(40000, int(np.clip(point + 15, -128, 127))))
    net = LearningNetwork(NetworkSpec((layer,)), (spec,), "squared_error")
    signals = Signals(rng, net, 60)
    signals.freeze[:] = signals.start[:] = False
    assert_equal_run(net, signals, 60)
    moved = signals.fast(net, net.reset()).state.learning[0].weight != layer.weight
    assert moved.mean() > 0.3


def test_layers_above_wait_and_learn_after_a_flagged_reset():
    rng = np.random.default_rng(3)
    net = random_network(rng, [2, 3, 3, 3])
    signals = Signals(rng, net, 12)
    signals.start[:] = np.arange(12) % 7 == 0
    assert_equal_run(net, signals)
    state = net.clear(signals.fast(net, net.reset()).state)
    got = signals.fast(net, state)
    for t in range(12):
        state, _ = signals.slow_step(net, state, t)
    assert_same(got.state, state)


def test_probes_and_traces_are_the_words_of_each_step():
    rng = np.random.default_rng(8)
    fixed = {"plasticity": "prospective", "time_constants": True}
    net = random_network(rng, [3, 4, 2], **fixed)
    signals = Signals(rng, net, 50)
    probes = [Probe(kind, layer, 1, layer) for kind in KINDS for layer in (0, 1)]
    got = signals.fast(net, net.reset(), probes=probes, trace=True)
    state = net.reset()
    for t in range(50):
        state, results = signals.slow_step(net, state, t)
        wanted = []
        for kind, layer, row, column in probes:
            result = results[layer]
            wanted.append(int(_word(kind, result, row, column)))
        assert got.probes[t].tolist() == wanted
        for k, result in enumerate(results):
            kept = {"u": result.u, "r": result.r, "v": result.errors.v, "e": result.errors.e}
            for name, words in kept.items():
                assert getattr(got.traces, name)[k][t].tolist() == words.tolist()
            assert got.traces.exponent[k][t] == result.exponent


def _word(kind, result, row, column):
    if kind == "exponent":
        return result.exponent
    if kind == "weight":
        return result.state.weight[row, column]
    if kind.startswith("log"):
        return getattr(result.state.logs, kind)[row]
    for owner in (result.errors, result, result.state):
        if hasattr(owner, kind):
            return getattr(owner, kind)[row]
    raise AssertionError(kind)


def test_nothing_given_is_changed():
    rng = np.random.default_rng(1)
    net = random_network(rng, [3, 4, 2])
    signals, state = Signals(rng, net, 30), net.reset()
    before, x = words_of(state), signals.x.copy()
    signals.fast(net, state)
    assert words_of(state) == before
    assert (signals.x == x).all()


def test_no_step_and_no_target():
    net = random_network(np.random.default_rng(2), [3, 4, 2])
    empty = np.zeros((0, 3), np.int64)
    assert_same(fast.run(net, net.reset(), empty).state, net.reset())
    state, _ = net.step(net.reset(), np.array([1, -2, 3]))
    assert_same(fast.run(net, net.reset(), [[1, -2, 3]]).state, state)


@settings(max_examples=runs(40))
@given(SHAPES, SEEDS, st.integers(1, 3))
def test_inference(shape, seed, batch):
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, shape)
    fmt = spec.layers[0].x_format
    x = rng.integers(fmt.low, fmt.high + 1, (15, batch, shape[0]))
    start = rng.random(15) < 0.3
    state, counts = spec.reset(batch), [Saturation()] * len(spec.layers)
    for t in (0, 4):  # in two runs
        part = slice(t, 4 if t == 0 else 15)
        got = fast.infer(spec, state, x[part], start=start[part], trace=True)
        for k, (after, more) in enumerate(spec.trace(x[part], start=start[part], state=state)):
            counts = [a.plus(b) for a, b in zip(counts, more, strict=True)]
            assert words_of(got.output[k]) == words_of(after.layers[-1].r)
            for index, layer in enumerate(after.layers):
                assert words_of(got.u[index][k]) == words_of(layer.u)
                assert words_of(got.r[index][k]) == words_of(layer.r)
        counts = [
            Saturation(*(np.subtract(a, b))) for a, b in zip(counts, got.saturation, strict=True)
        ]
        assert words_of(got.state) == words_of(after)
        state = after
    assert not np.any(counts)


def test_inference_in_words_of_64_bits():
    seen = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        layer = random_spec(rng, [3, 2], recurrent=False).layers[0]
        spec = NetworkSpec((replace(layer, x_format=Fixed(2, 30), scale_width=1, scale=ONES),))
        seen += not is_narrow(spec.layers[0], None)
        x = rng.integers(-(1 << 31), 1 << 31, (9, 1, 3))
        got = fast.infer(spec, spec.reset(), x)
        for t, (after, _) in enumerate(spec.trace(x)):
            assert got.output[t].tolist() == after.layers[-1].r.tolist()
    assert seen == 20


@pytest.mark.parametrize("aligned", [False, True])
def test_designs_run_the_same_in_both(aligned, monkeypatch):
    rng = np.random.default_rng(4)
    spec = random_spec(rng, [3, 4, 5, 2])
    fmt = spec.layers[0].x_format
    x = rng.integers(fmt.low, fmt.high + 1, (2, 20, 3, 3))
    found = []
    for long in (0, 1 << 40):
        monkeypatch.setattr(design_run, "LONG", long)
        session = design_run.Session()
        for part in x:
            got = design_run.run_raw(spec, session, part, aligned=aligned, trace=True)
            found.append(words_of((got.output, got.u, got.r, session.saturation)))
            found[-1] += words_of(session.state)
    assert found[:2] == found[2:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((4, 2), int)}, "x must be of shape"),
        ({"x": np.zeros((4, 3))}, "x must be integers"),
        ({"x": np.full((4, 3), 1 << 20)}, "x must be integers in"),
        ({"target": np.zeros((4, 3), int)}, "target must be of shape"),
        ({"target": np.zeros((3, 2), int)}, "target must have 4 frames"),
        ({"target": None, "has_target": True}, "target must be given"),
        ({"start": np.zeros(3, bool)}, "start must be of shape"),
        ({"probes": [Probe("w", 0)]}, "kind of a probe"),
        ({"probes": [Probe("u", 2)]}, "layer of a probe"),
        ({"probes": [Probe("u", 0, 4)]}, "probe must lie within"),
        ({"probes": [Probe("log_m", 0)]}, "must learn to be probed"),
    ],
)
def test_refusals(change, message):
    net = random_network(np.random.default_rng(0), [3, 4, 2], time_constants=False)
    given = {"x": np.zeros((4, 3), int), "target": np.zeros((4, 2), int), **change}
    with pytest.raises(ValueError, match=message):
        fast.run(net, net.reset(), given.pop("x"), given.pop("target"), **given)


def test_a_state_of_another_network_is_refused():
    one, other = (random_network(np.random.default_rng(0), [3, n, 2]) for n in (4, 5))
    with pytest.raises(ValueError, match="state must be of this network"):
        fast.run(one, other.reset(), np.zeros((1, 3), int))
    state = one.reset()
    wide = state.learning[0]._replace(weight=state.learning[0].weight + (1 << 20))
    broken = LearnState(state.run, (wide, *state.learning[1:]))
    with pytest.raises(ValueError, match="layer 0: weight of the state must be integers in"):
        fast.run(one, broken, np.zeros((1, 3), int))


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        ("no-such-compiler", "needs a C.. compiler, and 'no-such-compiler' is not there; CXX"),
        ("false", "false failed"),
    ],
)
def test_a_machine_without_a_compiler_says_so(compiler, message, monkeypatch):
    monkeypatch.setenv("CXX", compiler)
    build.load.cache_clear()
    try:
        with pytest.raises(CompilerError, match=message):
            build.load()
    finally:
        build.load.cache_clear()


def test_a_compiler_that_does_not_know_the_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "NATIVE", ("-march=no-such-processor",))
    monkeypatch.setenv("VLE_CACHE", str(tmp_path))
    build.load.cache_clear()
    try:
        rng = np.random.default_rng(5)
        net = random_network(rng, [3, 20, 2])
        assert_equal_run(net, Signals(rng, net, 10), 5)
        assert list((tmp_path / "fast").glob("*.so"))
    finally:
        build.load.cache_clear()
