"""JapaneseVowels: nine speakers say /ae/, 12 cepstral channels, 7 to 29 frames, recorded."""

from __future__ import annotations

from functools import cache
from importlib import metadata

import numpy as np

from vle.sim.tasks.task import Array, Task, split

DT = 1.0
STEPS = 29
_FILES = {part: f"JapaneseVowels/JapaneseVowels_{part}.ts" for part in ("TRAIN", "TEST")}


def load(*, validation: int = 54, split_seed: int = 12345) -> Task:
    """Read the standard 270 + 370 utterances; one step is one frame.

    Channels are centred and scaled by the 270 training utterances. Sequences are padded with
    zeros to 29 frames; the steps behind their end have no target.

    Raises
    ------
    ModuleNotFoundError
        If the package `aeon`, which carries the recordings, is not installed.

    References
    ----------
    Kudo, Toyama and Shimbo 1999, "Multidimensional curve classification using passing-through
    regions".
    """
    trained_on, train_y = _read("TRAIN")
    tested_on, test_y = _read("TEST")
    frames = np.concatenate(trained_on)
    series = [(s - frames.mean(0)) / frames.std(0) for s in (*trained_on, *tested_on)]
    lengths = np.array([len(s) for s in series])
    x = np.zeros((STEPS, len(series), frames.shape[1]))
    for i, s in enumerate(series):
        x[: len(s), i] = s
    train, held_out = split(len(train_y), validation, split_seed)
    test = np.arange(len(train_y), len(series))
    y = np.concatenate([train_y, test_y])
    return Task("japanese_vowels", x, y, DT, train, held_out, test, classes=9, lengths=lengths)


@cache
def _read(part: str) -> tuple[tuple[Array, ...], Array]:
    """Return the utterances, each (frames, channels), and speakers 0 to 8 of one part."""
    lines = _text(_FILES[part]).splitlines()
    rows = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    series = [np.array([channel.split(",") for channel in row[:-1]], dtype=float).T for row in rows]
    return tuple(series), np.array([int(row[-1]) - 1 for row in rows])


def _text(name: str) -> str:
    """Return a data file out of the installed package, which is not imported."""
    try:
        files = metadata.files("aeon") or []
    except metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(
            "task japanese_vowels needs the package aeon: pip install --no-deps aeon==1.6.*"
        ) from error
    for file in files:
        if str(file).endswith(name):
            return file.read_text()
    raise ModuleNotFoundError(f"the installed package aeon must carry {name}, not lack it")
