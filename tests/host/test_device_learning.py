"""A device that learns: the words of the design; what is refused changes nothing.

The chip here is the integer model behind the register map; `test_learning_chips.py` has circuits.
"""

from __future__ import annotations

import json
from dataclasses import replace

import learning_nets as nets
import numpy as np
import pytest
from learning_devices import NETS, lesson, opened, same_state

from vle.host import running
from vle.host.bundle import Bundle
from vle.host.device import Device
from vle.sim import Network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


@pytest.mark.parametrize("name", NETS)
def test_learn_is_the_design_s(name, folder):
    device, design = opened(name, folder)
    x, y = lesson(name)
    options = {"tau_rate": 0.01} if name == "time constants" else {}
    before = device.read_parameters()
    for rate in (0.05, [0.02, 0.0, 0.1][: len(before)]):
        got = device.learn(x, y, rate=rate, **options)
        assert np.array_equal(got, design.learn(x, y, rate=rate, **options))
    same_state(device, design)
    assert device.clamped().tolist() == [list(row) for row in design.clamped]
    assert device.saturation().tolist() == [list(row) for row in design.saturation]
    assert any(
        (now.weight != then.weight).any()
        for now, then in zip(device.read_parameters(), before, strict=True)
    )
    x = nets.signal(10, seed=9)[0]
    for aligned in (False, True):
        assert np.array_equal(device.run(x, aligned=aligned), design.run(x, aligned=aligned))
    same_state(device, design)


@pytest.mark.parametrize(
    "options",
    [
        {"hold": 3},
        {"aligned": True},
        {"aligned": True, "freeze": np.arange(30) % 3 == 0},
        {"hold": 2, "aligned": True, "freeze": np.arange(30) < 20},
    ],
)
def test_options_are_the_design_s(options, folder):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent", 30)
    assert np.array_equal(device.learn(x, y, **options), design.learn(x, y, **options))
    same_state(device, design)


def test_targets_at_the_end_of_their_format_are_its_last_word(folder):
    device, design = opened("recurrent", folder)
    x, target = lesson("recurrent", 30)[0], device.bundle.learning.target
    ends = [np.full((30, device.bundle.outputs), target.limits[1] + k) for k in (1, 2)]
    y, beyond = (target.real(end) for end in ends)
    assert np.array_equal(device.learn(x, y), design.learn(x, y))
    same_state(device, design)
    for chip in (device, design):
        with pytest.raises(ValueError, match="y must be within"):
            chip.learn(x, beyond)


def test_a_batch_runs_from_reset_and_learns_nothing(folder):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent")
    device.learn(x, y), design.learn(x, y)
    batch = nets.signal(12)[0][:, None] * np.array([1, -1, 0.5])[:, None]
    weights = [words.weight for words in device.read_parameters()]
    assert np.array_equal(device.run(batch), design.run(batch))
    now = [words.weight for words in device.read_parameters()]
    assert all(np.array_equal(*pair) for pair in zip(weights, now, strict=True))


def test_parts_are_the_whole(folder, monkeypatch):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent")
    whole = design.learn(x, y)
    monkeypatch.setattr(running, "WINDOW", 7)  # looks in between change nothing
    parts = [device.learn(x[:11], y[:11]), device.learn(x[11:], y[11:], reset=False)]
    assert np.array_equal(np.concatenate(parts), whole)
    same_state(device, design)


def test_errors_from_the_host(folder):
    device, design = opened("recurrent", folder)
    x, _ = lesson("recurrent")
    errors = np.random.default_rng(5).normal(0, 0.2, (len(x), 3))
    errors[3] = np.nan
    got = device.learn(x, errors, errors=True)
    assert np.array_equal(got, design.learn(x, errors, errors=True))
    same_state(device, design)


def test_probabilities(folder):
    device, design = opened("classes", folder)
    x, _ = lesson("classes")
    y = np.random.default_rng(6).dirichlet(np.ones(3), len(x))
    assert np.array_equal(device.learn(x, y), design.learn(x, y))


def test_layers_that_learn(folder):
    device, _ = opened("recurrent", folder)
    x, y = lesson("recurrent")
    before, rates = device.read_parameters(), device.rates()
    device.learn(x, y, layers=[1])
    now = device.read_parameters()
    changed = [(a.weight != b.weight).any() for a, b in zip(now, before, strict=True)]
    assert changed == [False, True, False]
    assert np.array_equal(device.rates(), rates)


def test_rates_are_set_and_read(folder):
    device, design = opened("time constants", folder)
    device.set_rate([0.5, 0.25, 0], 0.125)
    rates = device.rates()
    assert rates[:, 0].tolist() == [0.5, 0.25, 0]
    assert np.allclose(rates[:, 1], 0.125, rtol=2**-15)
    x, y = lesson("time constants")
    got = device.learn(x, y)
    assert np.array_equal(got, design.learn(x, y, rate=[0.5, 0.25, 0], tau_rate=0.125))


REFUSED = (
    ("recurrent", {"rate": -1.0}, "rate must be 0 or more"),
    ("recurrent", {"rate": np.nan}, "rate must be finite"),
    ("recurrent", {"rate": 1e60}, r"rate must be 0, or in 2\*\*-112"),
    ("recurrent", {"rate": 1e6}, "rate of layer 0 must be below .* where it overflows"),
    ("recurrent", {"rate": [0.1, 0.1]}, "rate must be one number, or one for each of 3 layers"),
    ("recurrent", {"rate": "fast"}, "rate must be real numbers"),
    ("recurrent", {"tau_rate": 0.1}, "tau_rate must be 0 on a chip whose"),
    ("time constants", {"tau_rate": 1e9}, "tau_rate of layer 0 must be below"),
    ("recurrent", {"hold": 0}, r"hold must be integers in 1\.\."),
    ("recurrent", {"hold": 1.5}, "hold must be integers"),
    ("recurrent", {"layers": [3]}, r"layers must be integers in 0\.\.2"),
    ("recurrent", {"freeze": np.zeros(39, bool)}, r"freeze must be booleans of shape \(40,\)"),
    ("recurrent", {"freeze": np.zeros(40)}, "freeze must be booleans"),
    ("recurrent", {"y": np.zeros((40, 2))}, r"y must be of shape \(T, 3\), not \(40, 2\)"),
    ("recurrent", {"y": np.zeros((39, 3))}, "y must be of 40 steps as x is, not 39"),
    ("recurrent", {"y": np.zeros(40, int)}, "y must be of shape"),
    ("recurrent", {"y": np.full((40, 3), np.inf)}, "y must be within"),
    ("recurrent", {"y": np.full((40, 3), 1e9)}, "y must be within"),
    ("recurrent", {"y": None}, "y must be real numbers"),
    ("recurrent", {"x": np.full((40, 2), np.nan)}, "x must be finite"),
    ("recurrent", {"x": np.zeros((40, 3))}, "x must be of shape"),
    ("recurrent", {"x": np.zeros((40, 1, 2))}, "x must be one sequence"),
    ("recurrent", {"x": None}, "x must be real numbers"),
    ("recurrent", {"x": [[1, 2], [3]]}, "x must be an array"),
    ("classes", {"y": np.full(40, 3)}, "classes must be -1 or 0 to 2, not 3 to 3"),
    ("classes", {"y": np.full(40, -2)}, "classes must be -1 or 0 to 2"),
    ("classes", {"y": np.full((40, 3), 0.5)}, "y must be probabilities that sum to 1"),
    ("classes", {"y": np.zeros(40)}, r"y must be of shape \(T, 3\) or classes \(T,\)"),
    ("classes", {"y": np.zeros(40, int), "errors": True}, r"y must be of shape \(T, 3\), not"),
)


@pytest.mark.parametrize(("name", "change", "rule"), REFUSED)
def test_what_is_refused_changes_nothing(name, change, rule, folder):
    device, design = opened(name, folder)
    x, y = lesson(name)
    device.learn(x[:9], y[:9])
    design.learn(x[:9], y[:9])
    with pytest.raises(ValueError, match=rule):
        device.learn(**{"x": x, "y": y, **change})
    same_state(device, design)


def test_a_chip_without_learning_says_so(folder):
    from test_device import network  # noqa: PLC0415

    from vle.compiler import compile_model  # noqa: PLC0415

    path = folder / "plain"
    compile_model(network(aligned=False), input_range=(-1.0, 1.0), lanes=5).save(path)
    plain = json.loads((path / "design.json").read_text())

    class Answers:
        def read(self, addresses):
            words = {0: 0x564C4531, 4: 1, 8: plain["registers"]["hash"]}
            return np.array([words[int(a)] for a in np.ravel(addresses)], np.uint32)

    device = Device(Bundle.of_json(plain, path), Answers())
    for ask in (
        lambda: device.learn(np.zeros((3, 2)), np.zeros((3, 1))),
        lambda: device.set_rate(0.1),
        device.rates,
        device.clamped,
        lambda: device.probe(("u", 0, 0)),
        device.probed,
        lambda: device.probe_lost,
        lambda: device.target_errors,
    ):
        with pytest.raises(
            ValueError, match="must be compiled for learning: vle-compile --learning"
        ):
            ask()


def test_wrong_types_are_one_line(folder):
    device, _ = opened("recurrent", folder)
    kept = device.read_parameters()
    for given, rule in (
        (None, "parameters must be a list, not None"),
        ([None] * 3, r"parameters\[0\] must be a Parameters, not None"),
    ):
        with pytest.raises(TypeError, match=rule):
            device.write_parameters(given)
    with pytest.raises(TypeError, match="state must be a State, not None"):
        device.load_state(None)
    for change, rule in (
        ({"bias": None}, "layer 0: bias must be given"),
        ({"scale": kept[0].bias}, "layer 0: scale must be None where a layer has none"),
    ):
        with pytest.raises(ValueError, match=rule):
            device.write_parameters([replace(kept[0], **change), *kept[1:]])


@pytest.mark.parametrize("name", ["recurrent", "time constants"])
def test_what_is_exported_is_what_was_learned(name, folder, tmp_path):
    device, design = opened(name, folder)
    x, y = lesson(name)
    options = {"tau_rate": 0.05} if name == "time constants" else {}
    device.learn(x, y, rate=0.1, **options), design.learn(x, y, rate=0.1, **options)
    device.export(tmp_path / "back.onnx")
    back = Network.load(tmp_path / "back.onnx")
    for got, want in zip(back.layers, design.learned.layers, strict=True):
        assert np.array_equal(got.weight, want.weight)
        assert np.array_equal(got.bias, want.bias)
        assert np.allclose(got.tau_m, want.tau_m, rtol=1e-4)
    from vle.compiler import compile_model  # noqa: PLC0415

    again = compile_model(tmp_path / "back.onnx", calibration=x)
    held = device.read_parameters()
    for layer, words in zip(again.network.layers, held, strict=True):
        assert np.array_equal(layer.weight, words.weight)
        assert np.array_equal(layer.bias, words.bias)
