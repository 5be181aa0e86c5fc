"""A window of a run, once more on the Verilog: every word that comes, and all that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from integers import IntegerStudent, Window

from vle.compiler.learning.chip_words import registers_of, words_of
from vle.host import Device, Snapshot, open_device
from vle.host.transport import Lesson


def replay(student: IntegerStudent, folder: Path) -> dict[str, Any]:
    """Build the chip, load it with the state before the window, run the window, compare.

    Returns
    -------
    Words compared, and how many of them differ: of the outputs of all steps; of the weights; of
    all other words and registers that the chip is left with.
    """
    window, design = student.window, student.design
    if window is None:
        raise ValueError("steps for the chip must be at most those of the run")
    design.save(folder, verilog=True)
    with open_device(f"sim:{folder}") as device:
        device.restore(snapshot(device, student, window))
        found = device.transport.learn(lesson(window), device.bundle.outputs)
        left = device.snapshot()
    words, registers = words_of(design.learning, window.after), registers_of(window.after)
    held = {key: raw for key, raw in left.words.items() if not key[0].startswith("table")}
    differing = {key: int(np.count_nonzero(raw != words[key])) for key, raw in held.items()}
    weights = [key for key in held if key[0] == "weight"]
    result = {
        "steps": len(found),
        "output_words": found.size,
        "output_words_differing": int(np.count_nonzero(found != window.output)),
        "weights": sum(held[key].size for key in weights),
        "weights_differing": sum(differing[key] for key in weights),
        "other_words": sum(raw.size for key, raw in held.items() if key not in weights),
        "other_words_differing": sum(n for key, n in differing.items() if key not in weights),
        "registers_differing": sum(left.registers[name] != registers[name] for name in registers),
        "cycles_per_step": float(design.cycles_per_step),
    }
    return result | {"equal": not any(n for key, n in result.items() if key.endswith("_differing"))}


def snapshot(device: Device, student: IntegerStudent, window: Window) -> Snapshot:
    """Return the state before the window as this chip's words; tables are as they were built."""
    own, words = device.snapshot(), words_of(student.design.learning, window.before)
    known = {key: words.get(key, raw) for key, raw in own.words.items()}
    return Snapshot(own.design, known, registers_of(window.before))


def lesson(window: Window) -> Lesson:
    """What the chip is sent in a window."""
    steps = window.steps
    told = steps.targets.words[steps.targets.present].astype(np.int32)
    return Lesson(
        steps.x.astype(np.int32),
        steps.start,
        steps.freeze,
        steps.targets.present,
        told,
        np.zeros(len(told), bool),
    )


def row(found: dict[str, Any]) -> str:
    """Say what a comparison found."""
    kinds = ("output_words", "weights", "other_words")
    counts = [f"{found[f'{kind}_differing']} of {found[kind]}" for kind in kinds]
    return f"{found['steps']} steps; differing: " + ", ".join(
        f"{count} {kind.replace('_', ' ')}" for count, kind in zip(counts, kinds, strict=True)
    )
