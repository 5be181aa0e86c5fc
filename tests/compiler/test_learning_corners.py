"""Chips that learn, at the ends of formats, of arguments and of what a state may be."""

from dataclasses import replace

import numpy as np
import pytest
from test_learning_design import compiled, network, signals

from vle.compiler import compile_model
from vle.compiler.learning.chip_words import registers_of, words_of
from vle.compiler.learning.targets import Targets, target_format
from vle.compiler.learning.time_constants import LOG_BITS, Logs, derive
from vle.compiler.quantization.learning import LearningOptions
from vle.errors import CompileError
from vle.sim import Activation, Layer, Network


def test_weights_at_both_ends_of_their_format_come_back(tmp_path):
    design = compiled(network())
    ends = []
    for layer in design.state.learning:
        odd = np.arange(layer.weight.size).reshape(layer.weight.shape) % 2
        ends.append(layer._replace(weight=np.where(odd, -(1 << 15), (1 << 15) - 1)))
    design.restore(replace(design.state, learning=tuple(ends)))
    design.export(tmp_path / "learned.onnx")
    back = compile_model(tmp_path / "learned.onnx", lanes=8)
    for spec, learned in zip(back.network.layers, ends, strict=True):
        assert np.array_equal(spec.weight, learned.weight)


def test_frozen_steps_learn_nothing_where_answers_are_waited_for():
    design = compiled(network())
    x, y = signals(20)
    before = design.state
    design.learn(x, y, rate=0.1, aligned=True, freeze=np.ones(20, bool))
    for old, new in zip(before.learning, design.state.learning, strict=True):
        assert np.array_equal(old.weight, new.weight)
        assert np.array_equal(old.bias, new.bias)


def test_a_state_of_other_words_is_refused_and_changes_nothing():
    plain, filtered = compiled(network()), compiled(network(plasticity="filtered"))
    learned = compiled(network(), time_constants=True)
    for design, other in ((filtered, plain), (plain, filtered), (learned, plain), (plain, learned)):
        before = design.state
        with pytest.raises(ValueError, match="state must be of this network"):
            design.restore(other.state)
        assert np.array_equal(before.learning[0].weight, design.state.learning[0].weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"weight": s.weight + (1 << 16)}, "layer 0: weight of the state must be"),
        (lambda s: {"bias": s.bias + (1 << 40)}, "layer 0: bias of the state must be integers"),
        (lambda s: {"v": s.v.astype(float)}, "layer 0: v of the state must be integers"),
        (lambda s: {"noise": 0}, "draws of the state must be in 1..4294967295, not 0"),
        (lambda s: {"scale": s.scale._replace(exponent=99)}, "exponent of the state must be in"),
        (lambda s: {"scale": s.scale._replace(quiet=16)}, "steps with small errors of the state"),
        (lambda s: {"exponent": -128}, "exponent of the step before of the state must be in -96"),
    ],
)
def test_a_state_with_words_that_no_chip_holds_is_refused(change, message):
    design = compiled(network())
    first, *others = design.state.learning
    bad = replace(design.state, learning=(first._replace(**change(first)), *others))
    with pytest.raises(ValueError, match=message):
        design.restore(bad)


def test_words_of_a_chip_that_are_missing_are_refused_by_name():
    design = compiled(network())
    words, registers = words_of(design.learning, design.state), registers_of(design.state)
    design.restore_words(words, registers)
    less = {key: raw for key, raw in words.items() if key != ("v", 1)}
    with pytest.raises(ValueError, match="words must be those of this design, 'v' among them"):
        design.restore_words(less, registers)
    with pytest.raises(ValueError, match=r"'NOISE\[0\]' among them"):
        design.restore_words(words, {k: w for k, w in registers.items() if k != "NOISE[0]"})


def test_a_batch_leaves_a_design_where_its_last_sequence_does():
    one, other = (compiled(network(plasticity="filtered", recurrent=True)) for _ in range(2))
    x, y = signals(30)
    batch = np.stack([x, -x, x[::-1]], axis=1)
    for design in (one, other):
        design.learn(x, y, rate=0.05)
    together = one.run(batch, trace=True)
    alone = [other.run(batch[:, k], trace=True) for k in range(3)]
    for name in ("u", "r"):
        rows = zip(getattr(together, name), *(getattr(t, name) for t in alone), strict=True)
        assert all(np.array_equal(whole, np.stack(parts, axis=1)) for whole, *parts in rows)
    assert one.saturation == other.saturation
    assert np.array_equal(one.run(x, reset=False), other.run(x, reset=False))
    assert registers_of(one.state) == registers_of(other.state)
    assert one.run(batch[:, :0]).shape == (30, 0, 4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rate": "a"}, TypeError, "rate must be a number, not 'a'"),
        ({"tau_rate": None}, TypeError, "tau_rate must be a number, not None"),
        ({"tau_max": "a"}, TypeError, "tau_max must be a number, not 'a'"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, not 1.5"),
        ({"v_bits": "q"}, TypeError, "v_bits must be a whole number, not 'q'"),
        ({"time_constants": "no"}, TypeError, "time_constants must be a bool, not 'no'"),
        ({"error_bits": 4}, ValueError, "error_bits must be 8 or more, .* not 4 and 24"),
        ({"v_bits": 10}, ValueError, "v_bits no less and up to 32, not 16 and 10"),
    ],
)
def test_options_of_another_kind_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        LearningOptions(**options)


def test_time_constants_must_lie_below_what_they_may_reach():
    with pytest.raises(CompileError, match=r"tau_max must be at least .* 1\.2, not 1\.1"):
        compiled(network(), time_constants=True, tau_max=1.1)


@pytest.mark.parametrize(
    ("tau_m", "tau_r", "v_bits", "message"),
    [
        (1e3, 1e-3, 24, "layer 0: kappa up to 1e\\+06 needs over 18 bits"),
        (1e-3, 100.0, 32, "layer 0: v_width and kappa_shift must be 62 bits or fewer together"),
        (1e-3, 3e3, 24, "layer 0: rho up to 3e\\+06 needs over 18 bits"),
    ],
)
def test_time_constants_too_far_apart_are_refused(tau_m, tau_r, v_bits, message):
    one = np.ones(4)
    layer = Layer(np.eye(4), 0 * one, tau_m * one, tau_r * one, Activation("identity"))
    options = LearningOptions(v_bits=v_bits)
    with pytest.raises(CompileError, match=message):
        compile_model(Network((layer,), dt=1e-3), lanes=2, learning=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "a"}, "rate must be numbers, not 'a'"),
        ({"rate": 1e9}, "rate of layer 0 must be below 8192, where it overflows, not 1e\\+09"),
        ({"hold": 1.5}, "hold must be at least 1, and whole, not 1.5"),
        ({"hold": "a"}, "hold must be at least 1, and whole, not 'a'"),
        ({"freeze": [0, 1]}, "freeze must be booleans, not int64"),
        ({"y": None}, "y must be real numbers, not object"),
        ({"y": [[1], [2, 3]]}, "y must be an array, not rows of different lengths"),
        ({"y": np.full((20, 4), 1j)}, "y must be real numbers, not complex128"),
        ({"x": "abc"}, "x must be real numbers"),
        ({"x": np.full((20, 3), 1j)}, "x must be real numbers, not complex128"),
    ],
)
def test_arguments_of_another_kind_are_refused_by_name(options, message):
    x, y = signals(20)
    with pytest.raises(ValueError, match=message):
        compiled(network()).learn(**{"x": x, "y": y, **options})


def test_targets_reach_to_both_ends_of_their_format_and_no_further():
    net = compiled(network()).learning
    fmt = target_format(net)
    for value, word in ((fmt.low, fmt.low), (fmt.high, fmt.high), (fmt.high + 1, fmt.high)):
        y = np.full((2, 4), fmt.real(value))
        assert (Targets.of(net, y, 2, are_errors=False).words == word).all()
    for beyond in (fmt.high + 2, fmt.low - 1):
        with pytest.raises(ValueError, match="y must be within"):
            Targets.of(net, np.full((2, 4), fmt.real(beyond)), 2, are_errors=False)


def test_a_top_of_tanh_takes_targets_of_1():
    net = network()
    top = replace(net.layers[-1], activation=net.layers[0].activation)
    design = compiled(replace(net, layers=(*net.layers[:-1], top)))
    x, y = signals(20)
    assert design.learn(x, np.sign(y)).shape == (20, 4)


def test_one_boolean_freezes_all_steps():
    x, y = signals(20)
    one, other = compiled(network()), compiled(network())
    one.learn(x, y, freeze=True)
    other.learn(x, y, freeze=np.ones(20, bool))
    for a, b in zip(one.state.learning, other.state.learning, strict=True):
        assert np.array_equal(a.weight, b.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1e9}, "rate of layer 0 must be below 8192, where it overflows"),
        ({"tau_rate": 0.1}, "tau_rate must be 0 on a chip whose time constants do not learn"),
        ({"tau_rate": 1e9, "time_constants": True}, "tau_rate of layer 0 must be below"),
    ],
)
def test_rates_at_power_up_are_those_that_a_chip_may_have(options, message):
    with pytest.raises(CompileError, match=message):
        compiled(network(), **options)


def test_constants_follow_from_logarithms_as_near_as_the_documentation_says():
    rng = np.random.default_rng(0)
    log_m, log_r = rng.integers(0, 12 << LOG_BITS, (2, 4000))
    words = derive(Logs(log_m, log_r))
    rows = ((words.alpha, -log_m, 25), (words.beta, -log_r, 25))
    rows += ((words.rho, log_r - log_m, 15), (words.kappa, log_m - log_r, 15))
    for raw, log, shift in rows:
        exact = np.minimum(np.exp2(log / 2.0**LOG_BITS), 2.0 ** (26 - shift))
        off = np.abs(np.ldexp(raw.astype(float), -shift) - exact)
        assert (off <= 1e-5 * exact + 2.0 ** -(shift + 1)).all()
