"""Probes of a device: the words of every step, and the run is the same."""

from __future__ import annotations

import learning_nets as nets
import numpy as np
import pytest
from learning_devices import lesson, opened

from vle.host import Probe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


def test_probes_show_the_words_of_every_step(folder):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent")
    device.learn(x[:5], y[:5])
    device.probe(("u", 0, 4), Probe("e", 1, 2), ("exponent", 1), ("weight", 0, 3, 6))
    got = [device.learn(x, y), device.run(x, reset=False)]
    seen = device.probed()
    design.learn(x[:5], y[:5])
    want = [design.learn(x, y), design.run(x, reset=False)]
    assert np.array_equal(np.concatenate(got), np.concatenate(want))  # watched or not
    for probed in seen:
        assert probed.step.tolist() == list(range(80))
    u, e, exponent, weight = seen
    assert np.allclose(e.value, e.raw * 2.0**exponent.value)
    layer = design.network.layers[0]
    assert np.array_equal(u.value, layer.u_format.real(u.raw))
    last = design.learned.layers[0]
    assert weight.value[-1] == last.recurrent[3, 4]
    assert len(np.unique(weight.raw[:40])) > 1
    assert len(np.unique(weight.raw[40:])) == 1
    assert len(device.probed()[0].step) == 0
    device.run(x[:3], reset=False)
    assert device.probed()[0].step.tolist() == [80, 81, 82]


def test_steps_of_probes_go_on_beyond_their_bits(folder):
    device, _ = opened("recurrent", folder)
    device.probe(("exponent", 0))
    words = np.arange(5) * 20_000
    device.transport.seen = [(0, int(word % 65536) << 16) for word in words]
    assert device.probed()[0].step.tolist() == words.tolist()
    device.transport.seen = [(0, 100_000 % 65536 << 16)]
    assert device.probed()[0].step.tolist() == [100_000]


@pytest.mark.parametrize(
    ("probes", "rule"),
    [
        ([("x", 0, 0)], "kind of a probe must be one of u, r, v, e, exponent, weight, not 'x'"),
        ([("u", 3, 0)], r"layer of a probe must be integers in 0\.\.2"),
        ([("u", 0, 5)], r"neuron of a probe must be integers in 0\.\.4"),
        ([("weight", 1, 3, 5)], r"column of a probe must be integers in 0\.\.4"),
        ([("u",)], "a probe must be such as"),
        ([("u", 0, 0)] * 5, "probes must be 4 at most, not 5"),
    ],
)
def test_probes_that_are_none(probes, rule, folder):
    device, _ = opened("recurrent", folder)
    device.probe(("u", 0, 1))
    with pytest.raises(ValueError, match=rule):
        device.probe(*probes)
    device.run(nets.signal(4)[0])
    assert len(device.probed()[0].step) == 4
