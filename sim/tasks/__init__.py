"""Tasks that need no network connection: data sets, made or read from installed packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from vle.sim.tasks.task import Task

__all__ = ["NAMES", "Task", "load"]

_LOADERS = {
    "mnist1d": ("mnist1d", "load"),
    "lagline": ("lag", "load_lagline"),
    "lagnet": ("lag", "load_lagnet"),
    "mackey_glass": ("mackey_glass", "load"),
    "japanese_vowels": ("japanese_vowels", "load"),
    "cue_accumulation": ("cue_accumulation", "load"),
}
NAMES = tuple(_LOADERS)


def load(name: str) -> Task:
    """Load a task by its name, with its defaults.

    Raises
    ------
    ValueError
        If there is no such task.
    ModuleNotFoundError
        If the task's data comes with a package that is not installed.
    """
    if name not in _LOADERS:
        raise ValueError(f"task must be one of {', '.join(NAMES)}, not {name!r}")
    module, function = _LOADERS[name]
    loader: Callable[[], Task] = getattr(import_module(f"{__name__}.{module}"), function)
    return loader()
