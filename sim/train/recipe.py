"""What a training run consists of, in numbers: the recipe, and the default of each task."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from vle.sim import tasks
from vle.sim.activations import NAMES as ACTIVATIONS
from vle.sim.gradients.local import RULES

LEARNING = ("exact", *RULES)
SCHEDULES = ("cosine", "exponential", "constant")
TAUS = ("spread", "groups", "instantaneous")
UPDATES = ("sequence", "step")


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run; on the same machine it gives the same bits.

    Parameters
    ----------
    task : str
        Name of a task of `vle.sim.tasks`.
    learning : str
        `exact` (reverse mode through time) or a local rule of `vle.sim.gradients.local`:
        `prospective` (GLE), `filtered`, `bounded`, `instantaneous`.
    widths : tuple of int
        Neurons of each hidden layer; the output layer is added.
    activation : str
        Of the hidden layers; the first of three or more is linear, as published, as the output is.
    epochs, batch, seed : int
        Passes over the training split, sequences per batch, seed of everything random.
    rate : float
        Of Adam, at its highest.
    schedule : str
        `cosine` (after a warm-up, to a hundredth), `exponential` (to a ten-thousandth), `constant`.
    update : str
        One update per batch of `sequence`s, or, with local rules, one per time `step`.
    tau : str
        Initial time constants in the hidden layers: `spread` (a geometric series from 2 to 30
        steps), `groups` (three pairs, as published) or `instantaneous`.
    learn_tau : bool
        Whether they learn; those of a classifier's output layer never do.
    tau_steps_max : float
        Their largest value, in steps.
    weight_decay : float
        Decoupled, of Adam.
    noise_bits : int
        Train with the rounding noise of weights of this many bits per neuron; 0 for none.
    augment : bool
        Train on transformations of the training sequences, where the task has some.
    average : float
        Decay per update of the running average of the weights, which is what is kept.
    gain : float
        Classifiers with exact learning: the softmax hears `gain` times the output's mean over time.
    """

    task: str
    learning: str = "exact"
    widths: tuple[int, ...] = (32, 32)
    activation: str = "tanh"
    epochs: int = 50
    batch: int = 50
    seed: int = 0
    rate: float = 4e-3
    schedule: str = "cosine"
    update: str = "sequence"
    tau: str = "spread"
    learn_tau: bool = True
    tau_steps_max: float = 100.0
    weight_decay: float = 0.01
    noise_bits: int = 0
    augment: bool = True
    average: float = 0.998
    gain: float = 4.0

    def __post_init__(self) -> None:
        """Check every field against its rule."""
        choices = {
            "task": tasks.NAMES,
            "learning": LEARNING,
            "activation": ACTIVATIONS,
            "schedule": SCHEDULES,
            "update": UPDATES,
            "tau": TAUS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                _refuse(name, f"one of {', '.join(allowed)}", getattr(self, name))
        if any(width < 1 for width in self.widths):
            _refuse("widths", "above 0", self.widths)
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                _refuse(name, "above 0", getattr(self, name))
        for name in ("rate", "gain", "tau_steps_max"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                _refuse(name, "positive and finite", getattr(self, name))
        if self.weight_decay < 0 or not math.isfinite(self.weight_decay):
            _refuse("weight_decay", "0 or above", self.weight_decay)
        if not 0 <= self.average < 1:
            _refuse("average", "in [0, 1)", self.average)
        if self.noise_bits and not 2 <= self.noise_bits <= 24:
            _refuse("noise_bits", "0 or in 2 to 24", self.noise_bits)
        if self.seed < 0:
            _refuse("seed", "0 or above", self.seed)
        if self.learning == "exact" and self.update == "step":
            _refuse("update", "sequence where learning is exact", self.update)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as what JSON can hold."""
        return {**asdict(self), "widths": list(self.widths)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Recipe:
        """Return the recipe of a checkpoint or report.

        Raises
        ------
        ValueError
            If fields are missing, unknown or out of range.
        """
        names = {f.name for f in fields(Recipe)}
        if set(data) != names:
            raise ValueError(f"a recipe must have the fields {sorted(names)}, not {sorted(data)}")
        return Recipe(**{**data, "widths": tuple(data["widths"])})


def _refuse(name: str, rule: str, value: object) -> None:
    raise ValueError(f"{name} must be {rule}, not {value!r}")


_DEFAULTS = {
    "mnist1d": Recipe("mnist1d", widths=(53,) * 6, epochs=30, noise_bits=8),
    "lagline": Recipe("lagline", widths=(1,), epochs=400, batch=10, rate=0.02, weight_decay=0.0),
    "lagnet": Recipe("lagnet", widths=(8, 8), epochs=200, batch=10, rate=0.01, weight_decay=0.0),
    "mackey_glass": Recipe("mackey_glass", widths=(32, 32), epochs=100, batch=10, weight_decay=0.0),
    "japanese_vowels": Recipe("japanese_vowels", widths=(32, 32), epochs=60, batch=27),
    "cue_accumulation": Recipe("cue_accumulation", widths=(32,), epochs=20),
}


def default(task: str, **changes: Any) -> Recipe:
    """Return a task's default recipe with changes.

    Local learning is by default updated once per time step, at a lower and exponentially falling
    rate, with time constants that stand still in three groups, as published.

    Raises
    ------
    ValueError
        If there is no such task, or a field is out of range.
    """
    if task not in _DEFAULTS:
        _refuse("task", f"one of {', '.join(tasks.NAMES)}", task)
    recipe = _DEFAULTS[task]
    if changes.get("learning", "exact") != "exact":
        local = {"rate": 1e-3, "schedule": "exponential", "update": "step", "weight_decay": 0.0}
        still = {} if task.startswith("lag") else {"tau": "groups", "learn_tau": False}
        changes = {**local, **still, "batch": 100, "noise_bits": 0, "average": 0.98, **changes}
    return replace(recipe, **changes)
