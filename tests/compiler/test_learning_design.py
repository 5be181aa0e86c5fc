"""Networks that learn as integers: against the float rule, and against themselves."""

import numpy as np
import pytest

from vle.compiler import Design, compile_model
from vle.compiler.learning.run import LearningSession, Steps, learn_raw
from vle.compiler.learning.targets import Targets
from vle.compiler.quantization.learning import LearningOptions
from vle.errors import CompileError
from vle.sim import Layer, Network

DT = 0.2


def layer(rng, inputs, outputs, taus, activation, *, recurrent=False):
    tau_m, tau_r = taus
    own = rng.normal(0, 0.3 / np.sqrt(outputs), (outputs, outputs)) if recurrent else None
    return Layer(
        rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)),
        rng.normal(0, 0.1, outputs),
        tau_m,
        tau_r,
        activation,
        own,
    )


def network(seed=0, *, recurrent=False, loss="squared_error", plasticity="prospective"):
    rng = np.random.default_rng(seed)
    layers = (
        layer(rng, 3, 9, (1.2, 0.6), "tanh", recurrent=recurrent),
        layer(rng, 9, 7, (0.8, 0.8), "softplus"),
        layer(rng, 7, 4, (1.2, 0.9), "identity"),
    )
    return Network(layers, DT, loss=loss, plasticity=plasticity)


def signals(steps, seed=1):
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None] * DT
    x = np.sin(t * rng.uniform(0.1, 0.5, 3) + rng.uniform(0, 6, 3))
    return x, 0.5 * np.sin(t * rng.uniform(0.1, 0.3, 4))


def compiled(net, **options):
    x, _ = signals(300)
    return compile_model(net, calibration=x, lanes=8, learning=LearningOptions(**options))


@pytest.mark.parametrize("plasticity", ["prospective", "filtered"])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_words_follow_the_float_rule(plasticity, loss):
    net = network(loss=loss, plasticity=plasticity)
    design = compiled(net)
    x, y = signals(1500)
    if loss == "cross_entropy":
        y = (y.argmax(axis=1) + 0).astype(np.int64)
        y[200:300] = -1
    else:
        y[200:300] = np.nan
    got = design.learn(x, y, rate=0.02)
    start = net.layers
    wanted = net.learn(x, y, rate=0.02)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()
    for learned, exact, before in zip(design.learned.layers, net.layers, start, strict=True):
        moved = np.linalg.norm(exact.weight - before.weight)
        assert moved > 0.05
        assert np.linalg.norm(learned.weight - exact.weight) < 0.15 * moved
    assert all(c.signal == c.weight == c.bias == 0 for c in design.clamped)


def test_time_constants_follow_the_float_rule():
    net = network()
    design = compiled(net, time_constants=True)
    x, y = signals(1000)
    start = net.layers
    design.learn(x, y, rate=0.01, tau_rate=0.05)
    net.learn(x, y, rate=0.01, tau_rate=0.05, tau_max=16 * 1.2)
    for learned, exact, before in zip(design.learned.layers, net.layers, start, strict=True):
        for name in ("tau_m", "tau_r"):
            a, b, c = (np.log(getattr(k, name)) for k in (learned, exact, before))
            assert np.linalg.norm(b - c) > 0.02
            assert np.linalg.norm(a - b) < 0.25 * np.linalg.norm(b - c)


def test_filtered_time_constants_follow_the_float_rule():
    rng = np.random.default_rng(0)
    chain = [layer(rng, 1, 1, taus, "tanh") for taus in ((1.2, 0.6), (0.8, 0.5))]
    net = Network(tuple(chain), DT, plasticity="filtered")
    x, y = signals(1500)
    x, y = x[:, :1], y[:, :1]
    design = compile_model(
        net, calibration=x, lanes=2, learning=LearningOptions(time_constants=True)
    )
    start = net.layers
    design.learn(x, y, rate=0.02, tau_rate=0.1)
    net.learn(x, y, rate=0.02, tau_rate=0.1, tau_max=16 * 1.2)
    for learned, exact, before in zip(design.learned.layers, net.layers, start, strict=True):
        for name in ("weight", "tau_m", "tau_r"):
            a, b, c = (getattr(k, name) for k in (learned, exact, before))
            assert np.abs(a - b).max() < 0.15 * np.abs(b - c).max()


def test_frozen_steps_learn_nothing_and_rates_of_0_neither():
    design = compiled(network(recurrent=True))
    x, y = signals(60)
    before = design.state
    design.learn(x, y, rate=0.1, freeze=np.ones(60, bool))
    design.learn(x, y, rate=0.0)
    for old, new in zip(before.learning, design.state.learning, strict=True):
        assert np.array_equal(old.weight, new.weight)
        assert np.array_equal(old.bias, new.bias)
    design.learn(x, y, rate=[0.0, 0.1, 0.0])
    moved = [
        not np.array_equal(old.weight, new.weight)
        for old, new in zip(before.learning, design.state.learning, strict=True)
    ]
    assert moved == [False, True, False]


def test_a_run_in_two_parts_is_the_run_in_one():
    design = compiled(network(recurrent=True, plasticity="filtered"))
    x, y = signals(90)
    whole = design.learn(x, y, rate=0.05)
    end = design.state
    design.restart()
    first = design.learn(x[:40], y[:40], rate=0.05)
    kept = design.state
    second = design.learn(x[40:], y[40:], reset=False)
    assert np.array_equal(np.concatenate([first, second]), whole)
    other = compiled(network(recurrent=True, plasticity="filtered"))
    other.restore(kept)
    assert np.array_equal(other.learn(x[40:], y[40:], reset=False), second)
    for a, b in zip(other.state.learning, end.learning, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert a.noise == b.noise
        assert a.scale == b.scale


def test_a_batch_runs_as_its_sequences_do():
    x, y = signals(30)
    batch = np.stack([x, -x, x[::-1]], axis=1)
    one, other = compiled(network()), compiled(network())
    for design in (one, other):
        design.learn(x, y, rate=0.05)
    together = one.run(batch)
    for k in range(3):
        assert np.array_equal(other.run(batch[:, k]), together[:, k])
    assert np.array_equal(one.learn(x, y), other.learn(x, y))


def test_aligned_targets_wait_for_their_answers():
    rng = np.random.default_rng(4)
    tau = 1.0
    layers = [layer(rng, i, o, (tau, tau), "tanh") for i, o in ((3, 6), (6, 4))]
    net = Network(tuple(layers), DT, aligned=True)
    design = compiled(net)
    x, y = signals(50)
    late = np.concatenate([np.full((2, 4), np.nan), y])
    aligned = design.learn(x, y, rate=0.05, hold=1)
    other = compiled(net)
    frames = np.concatenate([x, np.zeros((2, 3))])
    words, _ = other._words(frames)
    net_spec = other.learning
    session = LearningSession(net_spec.reset())
    rated = design.state.learning[0].rate
    session.state = type(session.state)(
        session.state.run, tuple(s._replace(rate=rated) for s in session.state.learning)
    )
    targets = Targets.of(net_spec, late, 52, are_errors=False)
    got = learn_raw(net_spec, session, Steps.of(words, targets, begins=True))
    assert np.array_equal(other.output_format.real(got.output[1:-1, 0]), aligned)


def test_held_frames_are_backpropagation():
    rng = np.random.default_rng(5)
    layers = [layer(rng, i, o, (1.0, 1.0), "tanh") for i, o in ((3, 8), (8, 4))]
    net = Network(tuple(layers), DT, aligned=True)
    design = compile_model(
        net, input_range=(-1.0, 1.0), lanes=8, learning=LearningOptions(rate=0.1)
    )
    x = rng.uniform(-1, 1, (400, 3))
    y = np.tanh(x @ rng.normal(0, 0.7, (3, 4)))
    before = np.mean((design.run(x) - y) ** 2)
    got = design.learn(x, y)
    wanted = net.learn(x, y, rate=0.1)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 0.02
    assert np.mean((design.run(x) - y) ** 2) < 0.3 * before


def test_errors_of_the_caller_are_those_of_its_loss():
    x, y = signals(80)
    one, other = compiled(network()), compiled(network())
    before, fmt = one.state, one.output_format
    got = one.learn(x, y, rate=0.05)
    rates = np.concatenate([np.zeros((1, 4)), got[:-1]])  # of the step before
    errors = fmt.real(fmt.quantize(y)) - rates
    assert np.array_equal(other.learn(x, errors, rate=0.05, errors=True), got)
    rows = zip(before.learning, one.state.learning, other.state.learning, strict=True)
    for start, a, b in rows:
        assert not np.array_equal(start.weight, a.weight)
        assert np.array_equal(a.weight, b.weight)


def test_a_learned_network_comes_back_as_the_same_integers(tmp_path):
    design = compiled(network(recurrent=True), time_constants=True)
    x, y = signals(200)
    design.learn(x, y, rate=0.02, tau_rate=0.02)
    design.export(tmp_path / "learned.onnx")
    back = compile_model(tmp_path / "learned.onnx", lanes=8)
    assert type(back) is Design
    assert np.array_equal(back.run(x), design.run(x))
    again = compile_model(
        tmp_path / "learned.onnx", lanes=8, learning=LearningOptions(time_constants=True)
    )
    for spec, state in zip(again.network.layers, design.state.learning, strict=True):
        assert np.array_equal(spec.weight, state.weight)
        assert np.array_equal(spec.bias, state.bias)


def test_a_bundle_keeps_how_a_design_learns(tmp_path):
    design = compiled(network(plasticity="filtered"), seed=7)
    x, y = signals(50)
    design.save(tmp_path / "bundle")
    again = Design.load(tmp_path / "bundle")
    assert again.chip == design.chip
    assert np.array_equal(again.learn(x, y, rate=0.05), design.learn(x, y, rate=0.05))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": np.zeros((5, 4))}, r"y must be of shape \(6, 4\)"),
        ({"y": np.full((6, 4), np.inf)}, "y must be within"),
        ({"y": np.full((6, 4), 1e6)}, "y must be within"),
        ({"x": np.full((6, 3), np.nan)}, "x must be finite"),
        ({"x": np.zeros((6, 2, 3))}, "x must be one sequence"),
        ({"rate": -0.1}, "rate must be 0 or more"),
        ({"rate": [0.1, 0.1]}, "rate must be one number, or one for each of 3 layers"),
        ({"tau_rate": 0.1}, "time constants do not learn"),
        ({"hold": 0}, "hold must be at least 1"),
        ({"freeze": np.zeros(6)}, "freeze must be booleans"),
        ({"pace": 1}, "learn must not be given pace"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(options, message):
    design = compiled(network())
    x, y = signals(6)
    before = design.state
    with pytest.raises(ValueError, match=message):
        design.learn(**{"x": x, "y": y, **options})
    assert all(
        np.array_equal(a.weight, b.weight) and a.rate == b.rate
        for a, b in zip(before.learning, design.state.learning, strict=True)
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(6, 4), "classes must be -1 or 0 to 3"),
        (np.zeros(5, int), r"y must be of shape \(6,\)"),
        (np.full((6, 4), 0.3), "y must be probabilities that sum to 1"),
    ],
)
def test_bad_classes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        compiled(network(loss="cross_entropy")).learn(signals(6)[0], y)


def test_what_a_chip_does_not_learn_is_refused_by_name():
    net = network()
    with pytest.raises(CompileError, match="gamma must be 0"):
        compiled(Network(net.layers, DT, gamma=0.1))
    rng = np.random.default_rng(0)
    many = Layer(rng.normal(size=(6, 3)), np.zeros(6), np.linspace(1, 2, 6), 0.5, "tanh")
    with pytest.raises(CompileError, match="pairs of time constants must be 4 or fewer"):
        compiled(Network((many,), DT, plasticity="filtered"))
    with pytest.raises(CompileError, match="one per trace"):
        compiled(network(plasticity="filtered"), time_constants=True)
    with pytest.raises(CompileError, match="weight_range must be at least"):
        compiled(net, weight_range=0.01)
    with pytest.raises(ValueError, match="design must be compiled for learning"):
        compile_model(net, lanes=4).learn(*signals(5))


def test_a_range_that_is_asked_for_stands_above_the_formats_of_a_file(tmp_path):
    design = compiled(network())
    design.export(tmp_path / "learned.onnx")
    wider = compile_model(
        tmp_path / "learned.onnx", lanes=8, learning=LearningOptions(weight_range=64.0)
    )
    limits = [layer["weight_limit"] for layer in wider.report["learning"]["layers"]]
    assert min(limits) >= 64
