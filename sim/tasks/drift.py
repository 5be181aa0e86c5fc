"""Drift: what becomes of a sensor in the field, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vle.sim.tasks.task import Array, Task


@dataclass(frozen=True, eq=False)
class Drift:
    """Channels that answer ``gain * x + offset``; a dead one has gain 0.

    Parameters
    ----------
    gain, offset : ndarray, shape (channels,)
        Finite; the offset in units of the input.
    """

    gain: Array
    offset: Array

    def __post_init__(self) -> None:
        """Check shapes and values."""
        if self.gain.ndim != 1 or self.gain.shape != self.offset.shape:
            shapes = (self.gain.shape, self.offset.shape)
            raise ValueError(f"gain and offset must be of one shape (channels,), not {shapes!r}")
        for name in ("gain", "offset"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be finite, not {getattr(self, name)!r}")

    @staticmethod
    def draw(
        channels: int, seed: int, *, gain: float = 0.5, offset: float = 0.7, dead: int = 0
    ) -> Drift:
        """Draw a drift.

        Parameters
        ----------
        channels
            Of the sensor.
        seed
            Of the draw.
        gain, offset
            Deviation of the gains' logarithms, and of the offsets.
        dead
            Channels that answer 0 from now on.

        Raises
        ------
        ValueError
            For a deviation below 0 and for more dead channels than there are.
        """
        for name, value in (("gain", gain), ("offset", offset)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} must be 0 or more, and finite, not {value!r}")
        if not 0 <= dead <= channels:
            raise ValueError(f"dead must be 0 to {channels}, not {dead!r}")
        rng = np.random.default_rng(seed)
        gains = np.exp(rng.normal(0, gain, channels))
        offsets = rng.normal(0, offset, channels)
        lost = rng.permutation(channels)[:dead]
        gains[lost] = offsets[lost] = 0
        return Drift(gains, offsets)

    def __call__(self, task: Task) -> Task:
        """Return the task as the drifted sensor hears it; frames behind a sequence's end stay 0.

        Raises
        ------
        ValueError
            For a task of another number of channels.
        """
        if task.inputs != len(self.gain):
            raise ValueError(f"task must have {len(self.gain)} inputs, not {task.inputs}")
        lengths = np.full(task.count, task.steps) if task.lengths is None else task.lengths
        heard = np.arange(task.steps)[:, None] < lengths
        return replace(task, x=np.where(heard[..., None], self.gain * task.x + self.offset, 0.0))
