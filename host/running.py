"""Signals through a chip: in real units, as words, sequence by sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from vle.host import divergence, lessons
from vle.host.bundle import Bundle
from vle.host.checks import integers
from vle.host.chip import CLEAR, Chip, Raw
from vle.host.transport import Lesson

WINDOW = 500  # steps between two looks at a chip that learns, or two signs of progress
Progress = Callable[[int], None]  # told how many steps were done since the last time


def reset(chip: Chip) -> None:
    """Put all state to 0."""
    chip.write("CTRL", CLEAR)
    chip.until_idle()


def checked(bundle: Bundle, x: ArrayLike) -> Raw:
    """Return raw input words.

    Raises
    ------
    ValueError
        For a wrong shape, and words that the input's format does not hold.
    """
    words, inputs = np.asarray(x), bundle.inputs
    if words.ndim not in (2, 3) or words.shape[-1] != inputs:
        raise ValueError(
            f"x must be of shape (T, {inputs}) or (T, batch, {inputs}), not {words.shape}"
        )
    return integers("x", words, bundle.layers[0].x.limits)


def run(
    chip: Chip, words: Raw, *, aligned: bool, begin: bool, progress: Progress | None = None
) -> Raw:
    """Run one sequence or a batch of them.

    Raises
    ------
    ValueError
        For a batch that is not to begin at reset.
    """
    told = progress or (lambda steps: None)
    pieces = progress is not None
    if words.ndim == 2:
        return _sequence(chip, words, told, aligned=aligned, begin=begin, pieces=pieces)
    if not begin:
        raise ValueError("x must be one sequence (T, inputs) where it continues another")
    output = np.empty((*words.shape[:2], chip.bundle.outputs), np.int64)
    for k in range(words.shape[1]):
        one = words[:, k]
        output[:, k] = _sequence(chip, one, told, aligned=aligned, begin=True, pieces=pieces)
    return output


def _sequence(
    chip: Chip, frames: Raw, told: Progress, *, aligned: bool, begin: bool, pieces: bool
) -> Raw:
    late = chip.bundle.latency_steps if aligned else 0
    sent = np.concatenate([frames, np.zeros((late, frames.shape[1]), frames.dtype)])
    if begin:
        reset(chip)
    got = []
    for first, end in _windows(len(sent), WINDOW if pieces else max(1, len(sent))):
        got.append(exchange(chip, sent[first:end], aligned and not first))
        told(min(end, len(frames)) - min(first, len(frames)))
    return np.concatenate(got)[late:] if got else np.zeros((0, chip.bundle.outputs), np.int64)


def exchange(chip: Chip, frames: Raw, begins: bool) -> Raw:
    """Send raw frames and return as many; the first may begin a sequence."""
    outputs = chip.bundle.outputs
    if chip.bundle.learning is not None:
        return _taught(chip, lessons.silent(frames, outputs, begins=begins))
    start = (np.arange(len(frames)) == 0) & begins
    return chip.transport.exchange(frames.astype(np.int32), start, outputs).astype(np.int64)


def _taught(chip: Chip, lesson: Lesson) -> Raw:
    return chip.transport.learn(lesson, chip.bundle.outputs).astype(np.int64)


def learn(chip: Chip, lesson: Lesson, *, watch: bool) -> Raw:
    """Run a lesson, and where asked for look now and then whether it goes well.

    Raises
    ------
    DivergenceError
        Where it does not.
    """
    if not watch:
        return _taught(chip, lesson)
    outputs, rate = chip.bundle.outputs, chip.bundle.layers[-1].rate
    found = np.empty((len(lesson.frames), outputs), np.int64)
    with chip.halted():
        before = divergence.Vitals.of(chip)
    for begin, end in _windows(len(lesson.frames), WINDOW):
        part = lesson.part(begin, end)
        found[begin:end] = _taught(chip, part)
        with chip.halted():
            now = divergence.Vitals.of(chip)
        updates = int(np.count_nonzero(~part.freeze))
        now.check(chip, before, end - begin, updates, rate.real(found[:end]))
        before = now
    return found


def _windows(steps: int, size: int) -> Iterable[tuple[int, int]]:
    return ((begin, min(begin + size, steps)) for begin in range(0, steps, size))


def default_hold(bundle: Bundle) -> int:
    """`2 L` steps per frame where all layers are instantaneous and feedforward, else 1."""
    with np.load(bundle.folder / "params.npz") as compiled:
        static = all(
            not layer.recurrent
            and np.array_equal(*(compiled[f"reference{k}.{name}"] for name in ("tau_m", "tau_r")))
            for k, layer in enumerate(bundle.layers)
        )
    return 2 * len(bundle.layers) if static else 1
