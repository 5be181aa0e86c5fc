import importlib.metadata

import numpy as np
import pytest

from vle.sim import tasks
from vle.sim.tasks import Task, cue_accumulation, japanese_vowels, lag, mackey_glass, mnist1d
from vle.sim.tasks.drift import Drift


@pytest.mark.parametrize(
    ("name", "steps", "splits", "inputs", "outputs"),
    [
        ("mnist1d", 360, (3600, 400, 1000), 1, 10),
        ("lagline", 600, (20, 4, 8), 1, 1),
        ("lagnet", 600, (40, 8, 16), 2, 2),
        ("mackey_glass", 400, (40, 8, 16), 1, 1),
        ("japanese_vowels", 29, (216, 54, 370), 12, 9),
        ("cue_accumulation", 225, (1600, 100, 500), 40, 2),
    ],
)
def test_shapes_and_splits(name, steps, splits, inputs, outputs):
    task = tasks.load(name)
    assert (task.steps, task.inputs, task.outputs) == (steps, inputs, outputs)
    assert tuple(map(len, (task.train, task.validation, task.test))) == splits
    assert task.count == sum(splits)
    assert np.all(np.isfinite(task.x))
    few = task.test[:3]
    assert task.targets(few).shape == (steps, 3, outputs)
    assert np.array_equal(np.isnan(task.targets(few)[..., 0]), task.mask(few) == 0)


@pytest.mark.parametrize("name", ["mnist1d", "lagnet", "mackey_glass", "japanese_vowels"])
def test_always_the_same_data(name):
    first, second = tasks.load(name), tasks.load(name)
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.y, second.y)
    assert np.array_equal(first.validation, second.validation)


def test_mnist1d_is_the_standard_set():
    task = tasks.load("mnist1d")
    assert abs(task.x.mean()) < 1e-10
    assert task.x.std() == pytest.approx(1, abs=1e-10)
    assert np.bincount(task.y).tolist() == [500] * 10
    counts = [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]
    assert np.bincount(task.y[task.test]).tolist() == counts


def test_mnist1d_leaves_the_global_generator_alone():
    mnist1d._samples.cache_clear()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    mnist1d.load()
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_mnist1d_compact_form_is_exact(tmp_path):
    task = tasks.load("mnist1d")
    x = task.x[:, task.test, 0].T
    assert np.max(np.abs(mnist1d.expand(mnist1d.compact(x)) - x)) < 1e-12
    mnist1d.write_samples(tmp_path / "few.npz", task, task.test[:20])
    read, y = mnist1d.read_samples(tmp_path / "few.npz")
    assert np.array_equal(y, task.y[task.test[:20]])
    assert np.max(np.abs(read - task.x[:, task.test[:20]])) < 1e-6


def test_mackey_glass_integrator_is_of_second_order():
    start = np.array([0.9, 1.1])
    fine = mackey_glass.integrate(start, 60, substeps=640)
    errors = [
        np.abs(mackey_glass.integrate(start, 60, substeps=n) - fine).max() for n in (10, 20, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_mackey_glass_statistics_and_rest():
    task = tasks.load("mackey_glass")
    assert abs(task.x.mean()) < 0.1
    assert task.x.std() == pytest.approx(1, abs=0.1)
    assert np.array_equal(task.x[6:], task.y[:-6])
    rest = mackey_glass.integrate(np.array([1.0]), 5)
    assert np.allclose(rest, 1.0, atol=1e-14)  # 0.2 x / (1 + x^10) = 0.1 x at x = 1


def test_mackey_glass_refuses_a_delay_off_the_grid():
    with pytest.raises(ValueError, match="delay must be"):
        mackey_glass.integrate(np.ones(1), 5, delay=0.33)


def test_lagline_is_its_teacher():
    task = tasks.load("lagline")
    assert np.array_equal(task.teacher.run(task.x), task.y)
    noise = lag.smooth_noise(50, 4000, 1, seed=1)
    assert noise.var() == pytest.approx(1, abs=0.1)


def test_japanese_vowels_is_the_recorded_set():
    task = tasks.load("japanese_vowels")
    trained_on = np.concatenate([task.train, task.validation])
    assert np.bincount(task.y[trained_on]).tolist() == [30] * 9
    assert np.bincount(task.y[task.test]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert (task.lengths.min(), task.lengths.max()) == (7, 29)
    frames = task.x[:, trained_on][task.mask(trained_on) > 0]
    assert np.allclose(frames.mean(0), 0, atol=1e-10)
    assert np.allclose(frames.std(0), 1)


def test_cues_are_counted_by_the_label():
    task = cue_accumulation.load(count=60, validation=5, test=5, cue_hz=1000, noise_hz=0, seed=3)
    per_side = task.x.reshape(225, 70, 4, 10).sum(0)  # at 1000 Hz every millisecond has a spike
    assert np.all(per_side == per_side[..., :1])
    left, right, recall, noise = np.moveaxis(per_side[..., 0], -1, 0)
    assert np.array_equal(left + right, np.full(70, 700))
    assert np.array_equal(task.y, left > right)
    assert np.all(recall == 150)
    assert np.all(noise == 0)
    assert np.all(task.x[:210, :, 20:30] == 0)
    assert np.all(task.x[:5, :, :20] == 0)
    assert np.all(task.x[105:, :, :20] == 0)  # from 1050 ms on nothing tells a side


def test_cues_have_their_rates_in_bins_of_any_length():
    for bin_ms in (1, 5, 50):
        task = cue_accumulation.load(count=60, validation=5, test=5, bin_ms=bin_ms)
        hz = task.x.reshape(-1, 70, 4, 10).mean((1, 3)).sum(0) / 2.25
        assert hz == pytest.approx([40 * 0.7 / 4.5, 40 * 0.7 / 4.5, 40 / 15, 10], rel=0.15)
        assert task.x.max() <= bin_ms
        assert task.dt == bin_ms / 1000


def test_cues_ask_for_an_answer_in_the_recall_window_alone():
    task = cue_accumulation.load(count=8, validation=1, test=1)
    mask = task.mask(task.train)
    assert np.all(mask[210:] == 1)
    assert np.all(mask[:210] == 0)
    assert np.all(np.isnan(task.targets(task.train)[:210]))


def test_cues_sides_are_even_and_seeds_differ():
    rng = np.random.default_rng(0)
    left = cue_accumulation.draw_cues(rng, 20000)
    assert (left.sum(1) > 3).mean() == pytest.approx(0.5, abs=0.02)
    assert np.mean(np.abs(2 * left.sum(1) - 7) == 1) == pytest.approx(0.324, abs=0.02)
    first, second = (
        cue_accumulation.load(count=2, validation=1, test=1, seed=seed) for seed in (0, 1)
    )
    assert not np.array_equal(first.x, second.x)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bin_ms": 7}, "bin_ms must be a divisor of 50, not 7"),
        ({"cue_hz": 1001.0}, "cue_hz must be in 0 to 1000, not 1001.0"),
        ({"noise_hz": -1.0}, "noise_hz must be in 0 to 1000, not -1.0"),
    ],
)
def test_cues_out_of_range_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        cue_accumulation.load(count=1, validation=1, test=1, **given)


def test_only_classes_can_be_asked_late():
    x, y = np.zeros((3, 3, 1)), np.zeros((3, 3, 1))
    splits = (np.array([0]), np.array([1]), np.array([2]))
    with pytest.raises(ValueError, match="asked must be 0 to 3, and 0 where the targets are val"):
        Task("t", x, y, 0.1, *splits, asked=1)


def test_drift_is_heard_within_sequences_alone():
    task = tasks.load("japanese_vowels")
    drift = Drift.draw(12, seed=1, dead=2)
    drifted = drift(task)
    heard = task.mask(np.arange(task.count)) > 0
    assert np.array_equal(drifted.x[heard], drift.gain * task.x[heard] + drift.offset)
    assert np.all(drifted.x[~heard] == 0)
    assert np.count_nonzero(np.all(drifted.x == 0, axis=(0, 1))) == 2
    assert np.array_equal(Drift.draw(12, seed=1, dead=2).gain, drift.gain)
    assert not np.array_equal(Drift.draw(12, seed=2, dead=2).gain, drift.gain)


def test_no_drift_changes_nothing():
    task = tasks.load("japanese_vowels")
    assert np.array_equal(Drift.draw(12, seed=0, gain=0, offset=0)(task).x, task.x)


def test_a_drift_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="task must have 3 inputs, not 12"):
        Drift.draw(3, seed=0)(tasks.load("japanese_vowels"))
    with pytest.raises(ValueError, match="dead must be 0 to 3, not 4"):
        Drift.draw(3, seed=0, dead=4)
    with pytest.raises(ValueError, match="gain must be 0 or more, and finite, not -1"):
        Drift.draw(3, seed=0, gain=-1)
    with pytest.raises(ValueError, match=r"of one shape \(channels,\)"):
        Drift(np.ones(3), np.zeros(2))
    with pytest.raises(ValueError, match="offset must be finite"):
        Drift(np.ones(1), np.array([np.nan]))


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    japanese_vowels._read.cache_clear()
    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(ModuleNotFoundError, match="needs the package aeon"):
        japanese_vowels.load()


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task must be one of mnist1d"):
        tasks.load("mnist2d")


def test_overlapping_splits_are_refused():
    x, y = np.zeros((3, 4, 1)), np.zeros((3, 4, 1))
    with pytest.raises(ValueError, match="disjoint"):
        Task("t", x, y, 0.1, np.array([0, 1]), np.array([1]), np.array([2]))
