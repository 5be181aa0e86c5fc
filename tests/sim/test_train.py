import errno
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vle.sim import tasks
from vle.sim.gradients import local_gradient
from vle.sim.network import Network
from vle.sim.tasks import Task, lag, mnist1d
from vle.sim.train import augment, checkpoint, exact, local, recipe
from vle.sim.train.evaluate import evaluate
from vle.sim.train.exact import Episode
from vle.sim.train.trainer import Trainer, with_rounding_noise
from vle.sim.train.variables import from_network, initial_network, to_network, to_parameters

MODELS = Path(__file__).parents[2] / "examples/models"


def line(_name="lagline"):
    return lag.load_lagline(count=16, steps=60)


def vowels():
    """Two speakers of unlike lengths, few of each."""
    task = tasks.load("japanese_vowels")
    keep = np.flatnonzero(task.y < 2)
    order = np.arange(len(keep))
    return Task(
        "japanese_vowels",
        task.x[:, keep],
        task.y[keep],
        task.dt,
        order[:40],
        order[40:60],
        order[60:],
        classes=2,
        lengths=task.lengths[keep],
    )


def small(learning="exact", **changes):
    given = {"epochs": 4, "batch": 4, "rate": 0.03, "average": 0.5, **changes}
    return recipe.default("lagline", learning=learning, **given)


@pytest.mark.parametrize("learning", recipe.LEARNING)
def test_a_chain_learns_its_teacher_by_every_rule(learning):
    trainer = Trainer(line(), small(learning))
    history = list(trainer.epochs())
    assert history[-1].cost < 0.8 * history[0].cost


def test_exact_learning_finds_weights_and_time_constants():
    task = lag.load_lagline(count=16, steps=200)
    trainer = Trainer(task, small(epochs=120, average=0.9))
    list(trainer.epochs())
    assert trainer.best.validation.figure < 0.01
    for learned, teacher in zip(trainer.trained.layers, task.teacher.layers, strict=True):
        assert learned.weight == pytest.approx(teacher.weight, rel=0.1)
        assert learned.tau_m == pytest.approx(teacher.tau_m, rel=0.1)


@pytest.mark.parametrize("learning", ["exact", "filtered"])
def test_classes_of_unlike_lengths_are_learned(learning):
    changes = {"widths": (8,), "epochs": 6, "batch": 10, "rate": 0.01}
    trainer = Trainer(vowels(), recipe.default("japanese_vowels", learning=learning, **changes))
    list(trainer.epochs())
    assert trainer.best.validation.figure > 0.85
    judged = evaluate(trainer.trained, trainer.task, trainer.task.validation)
    assert judged.figure == trainer.best.validation.figure


@pytest.mark.parametrize("learning", ["exact", "prospective"])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, learning):
    whole = Trainer(line(), small(learning))
    list(whole.epochs())
    first = Trainer(line(), small(learning))
    for done in first.epochs():
        if done.epoch == 2:
            first.save(tmp_path / "checkpoint.npz")
            break
    second = Trainer.resume(tmp_path / "checkpoint.npz", line)
    assert second.history == first.history
    list(second.epochs())
    assert second.history == whole.history
    same = jax.tree.map(np.array_equal, second.learner, whole.learner)
    assert all(jax.tree.leaves(same))
    assert second.trained == whole.trained


def test_a_seed_decides_the_start():
    first, again, other = (initial_network(line(), small(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("task", [line(), vowels()], ids=["free", "aligned"])
def test_the_scan_is_the_network(task):
    made = recipe.default("lagline", widths=(5, 4, 3), seed=3)
    network = initial_network(task, made)
    trainer = Trainer(task, made)
    index = task.validation
    output = exact.run(
        to_parameters(from_network(network), task.dt), network.settings, trainer.episode(index)
    )
    expected = network.run(task.x[:, index])
    assert np.max(np.abs(np.asarray(output)[-task.steps :] - expected)) < 1e-5


@pytest.mark.parametrize("rule", recipe.LEARNING[1:])
def test_local_learning_follows_the_local_gradient(rule):
    task = line()
    network = initial_network(task, recipe.default("lagline", widths=(3,)))
    index = task.train[:2]
    x, y = task.x[:, index], task.targets(index)
    episode = Episode(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32), None)
    following = local.rule(
        rule,
        network.settings,
        network.parameters,
        tau_steps_max=1000.0,
        per_step=False,
        learn_tau=True,
    )
    descent, before = optax.sgd(0.01), from_network(network)
    after, _, _ = local.learn(before, descent.init(before), episode, following, descent)
    delayed = np.concatenate([np.full_like(y[:1], np.nan), y[:-1]])
    gradients = local_gradient(network.parameters, network.settings, x, delayed, rule)
    for a, b, g, p in zip(after, before, gradients, network.parameters, strict=True):
        pairs = [
            (a.weight - b.weight, g.weight),
            (a.bias - b.bias, g.bias),
            (a.tau_m - b.tau_m, g.tau_m * p.tau_m),
            (a.tau_r - b.tau_r, g.tau_r * p.tau_r),
        ]
        for moved, gradient in pairs:
            expected = -gradient / len(index)
            assert np.asarray(moved) / 0.01 == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_variables_come_back_as_the_same_network():
    network = initial_network(line(), recipe.default("lagline", widths=(7,)))
    back = to_network(from_network(network), network)
    for a, b in zip(back.layers, network.layers, strict=True):
        assert np.array_equal(a.tau_m, b.tau_m)
        assert np.array_equal(a.weight, b.weight.astype(np.float32))


def test_rounding_noise_is_half_a_step_at_most():
    network = initial_network(line(), recipe.default("lagline", widths=(7,)))
    variables = from_network(network)
    noisy = with_rounding_noise(variables, jax.random.key(0), 8)
    for a, b in zip(noisy, variables, strict=True):
        step = np.abs(b.weight).max(1, keepdims=True) / 127
        assert np.all(np.abs(a.weight - b.weight) <= step / 2 * 1.001)
        assert np.any(a.weight != b.weight)
    assert with_rounding_noise(variables, jax.random.key(0), 0) is variables


def test_augmentation_transforms_training_samples_only():
    task = mnist1d.load()
    draw = augment.for_task(task)
    index = jnp.asarray(task.train[:5])
    first, again = draw(jax.random.key(1), index), draw(jax.random.key(1), index)
    assert first.shape == (360, 5, 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, draw(jax.random.key(2), index))
    held_out = draw(jax.random.key(1), jnp.asarray(task.validation[:5]))
    bare = np.asarray(held_out)[:, :, 0]
    assert np.abs(np.diff(bare, n=2, axis=0)).max() < 0.5  # a line and noise, and no shape
    assert augment.for_task(line()) is None


def test_the_slope_of_a_noisy_line_is_found():
    rng = np.random.default_rng(0)
    ramp = np.linspace(-0.5, 0.5, 72)
    points = 1.5 * ramp + 0.3 + 0.02 * rng.normal(size=(4, 72))
    points[:, 20:34] += 2.0
    assert augment.slopes(points) == pytest.approx(1.5, abs=0.15)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    trainer = Trainer(line(), small(epochs=1))
    trainer.save(path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    list(trainer.epochs())
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        trainer.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_flipped_bits_of_a_checkpoint_are_refused_or_without_effect(tmp_path):
    path = tmp_path / "checkpoint.npz"
    trainer = Trainer(line(), small())
    trainer.save(path)
    whole, record = path.read_bytes(), checkpoint.record(path)
    refused = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 150):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(data)
        try:
            assert checkpoint.record(path) == record
            found = checkpoint.arrays(path, trainer.learner)
        except ValueError:
            refused += 1
        else:
            same = jax.tree.map(np.array_equal, found, trainer.learner)
            assert all(jax.tree.leaves(same))
    assert refused > 100


@pytest.mark.parametrize("name", ["recipe", "history"])
def test_a_record_with_a_part_missing_is_refused(tmp_path, name):
    path = tmp_path / "checkpoint.npz"
    trainer = Trainer(line(), small())
    record = {"recipe": small().to_json(), "history": []}
    for damaged in ({n: v for n, v in record.items() if n != name}, {**record, name: None}):
        checkpoint.save(path, trainer.learner, damaged)
        with pytest.raises(ValueError, match=f"whole checkpoint.*has no {name}"):
            Trainer.resume(path, line)


def test_broken_checkpoints_are_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    trainer = Trainer(line(), small())
    trainer.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="whole checkpoint"):
        Trainer.resume(path, line)
    checkpoint.save(path, trainer.learner.variables, {"recipe": small().to_json(), "history": []})
    with pytest.raises(ValueError, match="arrays of its recipe"):
        Trainer.resume(path, line)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning": "magic"}, "learning must be one of"),
        ({"epochs": 0}, "epochs must be above 0"),
        ({"rate": float("nan")}, "rate must be positive and finite"),
        ({"update": "step"}, "update must be sequence"),
        ({"noise_bits": 1}, "noise_bits must be"),
        ({"widths": (3, 0)}, "widths must be above 0"),
    ],
)
def test_recipes_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(recipe.default("lagline"), **changes)


def test_the_bundled_model_keeps_its_word():
    model = MODELS / "mnist1d.onnx"
    assert model.stat().st_size < 1_000_000
    network = Network.load(model)
    x, y = mnist1d.read_samples(MODELS / "mnist1d_test.npz")
    right = network.run(x).sum(0).argmax(-1) == y
    assert len(y) == 1000
    assert right.mean() >= 0.935
