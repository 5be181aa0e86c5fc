"""A device whose learning runs away says so, and can be put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learning_devices import lesson, opened, same_state

from vle.errors import DivergenceError
from vle.host.divergence import Vitals


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


def test_a_chip_that_diverges_says_so_and_can_be_rolled_back(folder):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent", 600)
    device.learn(x[:20], y[:20])
    design.learn(x[:20], y[:20])
    device.snapshot()
    with pytest.raises(DivergenceError, match=r"layer \d diverges: ") as diverged:
        device.learn(x, y, rate=20.0, reset=False)
    assert diverged.value.layer in {layer.name for layer in device.bundle.layers}
    assert len(diverged.value.output) <= 600
    device.roll_back()
    same_state(device, design)
    options = {"rate": 20.0, "reset": False}
    got = device.learn(x[:200], y[:200], **options, watch=False)
    assert np.array_equal(got, design.learn(x[:200], y[:200], **options))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, None),
        ({"exponent": [0, 16, 0]}, r"layer 1 diverges: its errors have grown to 2\*\*29"),
        ({"signals": [0, 0, 890]}, None),
        ({"signals": [0, 0, 990]}, "layer 2 diverges: 55% of its learning signals were clamped"),
        ({"exponent": [15, 15, 15]}, None),
        ({"weights": [1040, 0, 0]}, None),  # of 35 weights, in 600 updates
        ({"weights": [1155, 0, 0]}, r"layer 0 diverges: 5\.5% of its weights were clamped"),
        ({"weights": [0, 0, 400 - (1 << 32)]}, "layer 2 diverges"),  # a counter that went around
        ({"outputs": 1080}, "layer 2 diverges: 60% of its rates were clamped"),
        ({"outputs": 890}, None),
    ],
)
def test_what_counts_as_diverging(change, rule, folder):
    device, _ = opened("recurrent", folder)
    before = Vitals(*np.zeros((3, 3), int), 0)
    now = replace(before, **{name: np.array(value) for name, value in change.items()})
    output = np.zeros((600, 3))
    if rule is None:
        now.check(device.chip, before, 600, 600, output)
        return
    with pytest.raises(DivergenceError, match=rule):
        now.check(device.chip, before, 600, 600, output)
