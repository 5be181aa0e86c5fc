"""How good an answer is: cost and accuracy of classes, normalized error of values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vle.sim.network import Network
from vle.sim.tasks import Task
from vle.sim.tasks.task import Array


class Score(NamedTuple):
    """`cost`, and what people quote: `figure` is the accuracy, or the normalized rms error."""

    cost: float
    figure: float
    higher_is_better: bool

    @property
    def rank(self) -> tuple[float, float]:
        """What to maximise: the figure first, then the cost."""
        return (self.figure if self.higher_is_better else -self.figure, -self.cost)


def classify(output: Array, mask: Array) -> Array:
    """Return the class of each sequence: argmax of the output (T, n, classes) summed over it."""
    return np.asarray((output * mask[..., None]).sum(0).argmax(-1))


def score(task: Task, index: Array, output: Array, gain: float = 1.0) -> Score:
    """Judge the output (T, n, outputs) of sequences `index` of the task.

    Classes: the mean cross-entropy of `softmax(gain * mean output)`, and the accuracy. Values:
    half the mean squared error, and its root against the targets' deviation.
    """
    mask = task.mask(index)
    if not task.classes:
        target = task.targets(index)
        present = ~np.isnan(target)
        mse = float(np.mean((output - target)[present] ** 2))
        return Score(mse / 2, float(np.sqrt(mse) / np.std(target[present])), False)
    logit = gain * (output * mask[..., None]).sum(0) / mask.sum(0)[:, None]
    shifted = logit - logit.max(-1, keepdims=True)
    chosen = shifted[np.arange(len(index)), task.y[index]]
    cost = np.log(np.exp(shifted).sum(-1)) - chosen
    right = classify(output, mask) == task.y[index]
    return Score(float(cost.mean()), float(right.mean()), True)


def evaluate(network: Network, task: Task, index: Array) -> Score:
    """Judge a network by `Network.run` in float64, 250 sequences at a time, each from reset."""
    parts = [network.run(task.x[:, index[i : i + 250]]) for i in range(0, len(index), 250)]
    return score(task, index, np.concatenate(parts, axis=1))
