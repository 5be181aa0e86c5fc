"""Snapshots: a chip goes on elsewhere; what does not fit changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learning_devices import NETS, lesson, opened, same_state


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


@pytest.mark.parametrize("name", NETS)
def test_a_snapshot_goes_on_elsewhere(name, folder, tmp_path):
    """In another chip, from a file, and in the integer model: the same words."""
    device, design = opened(name, folder)
    other, _ = opened(name, folder)
    x, y = lesson(name)
    device.learn(x[:17], y[:17], rate=0.1)
    taken = device.snapshot()
    taken.save(tmp_path / "a.snapshot")
    rest = device.learn(x[17:], y[17:], reset=False)
    other.restore(type(taken).load(tmp_path / "a.snapshot"))
    assert np.array_equal(other.learn(x[17:], y[17:], reset=False), rest)
    design.restore_words(taken.words, taken.registers)
    assert np.array_equal(design.learn(x[17:], y[17:], reset=False), rest)
    same_state(device, design)
    same_state(other, design)


def test_a_snapshot_rolls_back(folder):
    device, _ = opened("recurrent", folder)
    x, y = lesson("recurrent")
    with pytest.raises(ValueError, match="a snapshot must have been taken"):
        device.roll_back()
    device.learn(x, y)
    device.snapshot()
    first = device.learn(x, y, reset=False)
    device.roll_back()
    assert np.array_equal(device.learn(x, y, reset=False), first)


def test_snapshots_that_do_not_fit_change_nothing(folder, tmp_path):
    device, design = opened("recurrent", folder)
    x, y = lesson("recurrent", 12)
    device.learn(x, y), design.learn(x, y)
    taken = device.snapshot()
    key, register = ("weight", 1), "EXPONENT[0]"
    words, registers = taken.words, taken.registers
    for change, rule in (
        ({"design": taken.design ^ 1}, "snapshot must be of this design, 0x[0-9a-f]{8}, not of"),
        ({"words": {k: w for k, w in words.items() if k != key}}, r"differ in \('weight', 1\)"),
        ({"words": {**words, key: words[key] + (1 << 20)}}, "weight must be integers in"),
        ({"words": {**words, key: words[key][1:]}}, "layer1.weight must be of shape"),
        ({"registers": {**registers, register: 1 << 24}}, r"EXPONENT\[0\] must be integers in 0"),
        ({"registers": {**registers, register: 0x20}}, r"EXPONENT\[0\]: exponent must be in -96"),
        (
            {"registers": {**registers, register: 0x1000}},
            "steps with small errors must be in 0..15",
        ),
        ({"registers": {**registers, register: 0x9F << 16}}, "exponent of the step before must be"),
        ({"registers": {**registers, "NOISE[2]": 0}}, r"NOISE\[2\] must be integers in 1"),
        ({"registers": {**registers, "RATE[2]": -1}}, r"RATE\[2\] must be integers in 0"),
        ({"registers": {}}, "registers of the snapshot must be those of this chip"),
    ):
        with pytest.raises(ValueError, match=rule):
            device.restore(replace(taken, **change))
    with pytest.raises(TypeError, match="snapshot must be a Snapshot, not None"):
        device.restore(None)
    other, _ = opened("filtered", folder)
    with pytest.raises(ValueError, match="snapshot must be of this design"):
        other.restore(taken)
    same_state(device, design)


def test_files_that_are_no_snapshots(folder, tmp_path):
    device, _ = opened("recurrent", folder)
    path = tmp_path / "a.snapshot"
    device.snapshot().save(path)
    data = path.read_bytes()
    np.savez(tmp_path / "other.npz", head=np.array('{"format": "x", "version": 1}'))
    for wrong in (b"", b"hello", data[:-30], data[:200], (tmp_path / "other.npz").read_bytes()):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"a\.snapshot must be a whole snapshot of a chip"):
            type(device.snapshot()).load(path)
    with pytest.raises(FileNotFoundError):
        device.snapshot().save(tmp_path / "nowhere" / "a.snapshot")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.snapshot", "other.npz"]


def test_snapshots_with_bytes_of_their_own_are_refused_or_read(folder, tmp_path):
    device, _ = opened("recurrent", folder)
    path, rng = tmp_path / "a.snapshot", np.random.default_rng(0)
    device.snapshot().save(path)
    data, said = path.read_bytes(), []
    for _ in range(60):
        wrong = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            wrong[at] = int(rng.integers(256))
        path.write_bytes(bytes(wrong))
        try:
            type(device.snapshot()).load(path)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 30
    assert all("must be a whole snapshot of a chip" in line for line in said)
