"""Cue accumulation: count cues of two sides over two seconds, answer when asked."""

from __future__ import annotations

import numpy as np

from vle.sim.tasks.task import Array, Task

CUES, CUE_MS, PAUSE_MS = 7, 100, 50
ASKED_MS, END_MS = 2100, 2250
GROUPS = ("left", "right", "recall", "noise")
NEURONS = 10  # per group
LIKELY = 0.7  # of a cue to come from its sequence's side


def load(
    *,
    count: int = 1600,
    validation: int = 100,
    test: int = 500,
    bin_ms: int = 10,
    cue_hz: float = 40.0,
    noise_hz: float = 10.0,
    seed: int = 0,
) -> Task:
    """Make sequences of 2250 ms: 7 cues, a delay to 2100 ms, a window in which they are asked.

    40 inputs spike at most once per millisecond: 10 at `cue_hz` in cues from the left, 10 in those
    from the right, 10 while the answer is asked for, 10 at `noise_hz` all the time. A cue lasts 100
    ms and the pause before it 50. A sequence favours one side, from which each cue comes with
    probability 0.7; its class is the side that had more: 0 right, 1 left.

    Parameters
    ----------
    count, validation, test
        Sequences in each split.
    bin_ms
        Milliseconds per step, a divisor of 50; an input frame holds the spikes counted in it.
    cue_hz, noise_hz
        Rates of spikes, 0 to 1000 per second.
    seed
        Of everything.

    Raises
    ------
    ValueError
        For a bin or a rate out of range.

    References
    ----------
    Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of spiking
    neurons", section on evidence accumulation; the generator is our own.
    """
    if bin_ms < 1 or PAUSE_MS % bin_ms:
        raise ValueError(f"bin_ms must be a divisor of {PAUSE_MS}, not {bin_ms!r}")
    for name, hz in (("cue_hz", cue_hz), ("noise_hz", noise_hz)):
        if not 0 <= hz <= 1000:
            raise ValueError(f"{name} must be in 0 to 1000, not {hz!r}")
    rng = np.random.default_rng(seed)
    total = count + validation + test
    left = draw_cues(rng, total)
    x = np.empty((END_MS // bin_ms, total, len(GROUPS) * NEURONS), np.float32)
    for i in range(total):
        rates = np.repeat(_rates(left[i], cue_hz, noise_hz, bin_ms), NEURONS, axis=1)
        x[:, i] = rng.binomial(bin_ms, rates / 1000)  # a spike or none in each of its milliseconds
    return Task(
        "cue_accumulation",
        x,
        (left.sum(1) > CUES // 2).astype(np.int64),
        bin_ms / 1000,
        np.arange(count),
        np.arange(count, count + validation),
        np.arange(count + validation, total),
        classes=2,
        asked=(END_MS - ASKED_MS) // bin_ms,
    )


def draw_cues(rng: np.random.Generator, count: int) -> Array:
    """Return which cues come from the left, shape (count, 7)."""
    favoured = rng.random(count) < 0.5
    return rng.random((count, CUES)) < np.where(favoured, LIKELY, 1 - LIKELY)[:, None]


def _rates(left: Array, cue_hz: float, noise_hz: float, bin_ms: int) -> Array:
    """Return the rate of each group in each step, shape (steps, 4), in Hz; edges lie on steps."""
    hz = np.zeros((END_MS // bin_ms, len(GROUPS)))
    for k, side in enumerate(left):
        start = (k * (CUE_MS + PAUSE_MS) + PAUSE_MS) // bin_ms
        group = GROUPS.index("left" if side else "right")
        hz[start : start + CUE_MS // bin_ms, group] = cue_hz
    hz[ASKED_MS // bin_ms :, GROUPS.index("recall")] = cue_hz
    hz[:, GROUPS.index("noise")] = noise_hz
    return hz
