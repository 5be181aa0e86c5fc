"""Learning through the driver on a circuit in simulation: the words of the design."""

from __future__ import annotations

import learning_nets as nets
import numpy as np
import pytest
from conftest import SOAK
from model_chip import ModelChip

from vle.compiler import Design
from vle.compiler.learning.chip_words import registers_of, words_of
from vle.host import open_device
from vle.host.device import Device

LOSSES = ("cross_entropy", "squared_error") if SOAK else ("cross_entropy",)


@pytest.fixture(scope="module", params=LOSSES)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("learning") / request.param
    nets.design(nets.small_network(loss=request.param), lanes=2).save(path, verilog=True)
    return path


@pytest.fixture(scope="module")
def opened(folder):
    with open_device(f"sim:{folder}") as device:
        yield device


@pytest.fixture
def pair(opened, folder):
    """A chip as after power-up, and its design."""
    design = Design.load(folder)
    model = Device(opened.bundle, ModelChip(design.chip))
    opened.restore(model.snapshot())
    opened.clear_counters()
    return opened, design


def lesson(design, steps: int):
    x, y = nets.signal(steps)
    return x, (nets.classes(steps) if design.learning.loss == "cross_entropy" else y)


def same_state(device, design) -> None:
    want, got = words_of(design.learning, design.state), device.snapshot()
    for key, raw in got.words.items():
        if not key[0].startswith("table"):
            assert np.array_equal(raw, want[key]), key
    assert got.registers == registers_of(design.state)


def test_learn_is_the_design_s(pair):
    device, design = pair
    x, y = lesson(design, 300)
    assert np.array_equal(device.learn(x, y, rate=0.05), design.learn(x, y, rate=0.05))
    same_state(device, design)
    assert device.clamped().tolist() == [list(row) for row in design.clamped]
    assert device.saturation().tolist() == [list(row) for row in design.saturation]
    assert (device.frame_errors, device.target_errors, device.probe_lost) == (0, 0, 0)
    options = {"aligned": False, "reset": False, "freeze": np.arange(300) % 3 == 0}
    assert np.array_equal(device.learn(x, y, **options), design.learn(x, y, **options))
    same_state(device, design)
    for aligned in (False, True):
        x = nets.signal(20, seed=5)[0]
        assert np.array_equal(device.run(x, aligned=aligned), design.run(x, aligned=aligned))
    batch = nets.signal(12)[0][:, None] * np.array([1, -1])[:, None]
    assert np.array_equal(device.run(batch), design.run(batch))


def test_errors_from_the_host_and_held_frames(pair):
    device, design = pair
    x, _ = lesson(design, 40)
    errors = np.random.default_rng(5).normal(0, 0.2, (40, 3))
    errors[3] = np.nan
    for options in ({"errors": True}, {"errors": True, "hold": 3}):
        got = device.learn(x, errors, **options)
        assert np.array_equal(got, design.learn(x, errors, **options))
    same_state(device, design)


def test_probes_are_the_model_s(pair):
    """Watched or not, the run is the same; words go on over several calls."""
    device, design = pair
    model = Device(device.bundle, ModelChip(design.chip))
    x, y = lesson(design, 60)
    for probes in (
        [("u", 0, 3), ("r", 1, 2), ("v", 0, 0), ("e", 1, 2)],
        [("exponent", 1), ("weight", 0, 3, 5), ("weight", 1, 2, 3), ("e", 0, 0)],
    ):
        seen = []
        for chip in (device, model):
            chip.probe(*probes)
            chip.learn(x, y, rate=0.05)
            first = chip.probed()
            chip.run(x[:9], aligned=False, reset=False)
            seen.append([*first, *chip.probed()])
        for got, want in zip(*seen, strict=True):
            assert np.array_equal(got.step, want.step), got.probe
            assert np.array_equal(got.raw, want.raw), got.probe
            assert np.array_equal(got.value, want.value), got.probe
    assert device.probe_lost == 0
    device.probe()
    design.restart()


def test_a_snapshot_goes_on_in_mid_sequence(pair, folder, tmp_path):
    """The flag of a sequence has reached some layers, errors others; another chip goes on."""
    device, design = pair
    x, y = lesson(design, 30)
    options = {"aligned": False, "reset": False, "watch": False}
    with open_device(f"sim:{folder}") as other:
        for cut in (0, 1, 2, 9):
            device.reset()
            device.run(x[:1], aligned=True, reset=False) if cut == 2 else None
            device.learn(x[:cut], y[:cut], rate=0.05, **options)
            taken = device.snapshot()
            taken.save(tmp_path / "a.snapshot")
            rest = device.learn(x[cut:], y[cut:], **options)
            other.restore(type(taken).load(tmp_path / "a.snapshot"))
            assert np.array_equal(other.learn(x[cut:], y[cut:], **options), rest), cut
            one, two = device.snapshot(), other.snapshot()
            assert one.registers == two.registers
            assert all(np.array_equal(raw, two.words[key]) for key, raw in one.words.items())


def test_rates_layers_and_rolling_back(pair):
    device, design = pair
    x, y = lesson(design, 40)
    device.set_rate([0.5, 0.25])
    assert device.rates().tolist() == [[0.5, 0], [0.25, 0]]
    before = device.snapshot()
    device.learn(x, y, layers=[1])
    now = device.snapshot()
    moved = [
        not np.array_equal(now.words["weight", k], before.words["weight", k]) for k in range(2)
    ]
    assert moved == [False, True]
    device.restore(before)
    after = device.snapshot()
    assert after.registers == before.registers
    assert all(np.array_equal(raw, after.words[key]) for key, raw in before.words.items())
