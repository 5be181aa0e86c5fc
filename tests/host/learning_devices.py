"""Devices that learn, beside their designs: the integer model behind the register map."""

from __future__ import annotations

import json
from pathlib import Path

import learning_nets as nets
import numpy as np
from model_chip import ModelChip

from vle.compiler.learning.chip_words import registers_of, words_of
from vle.host.bundle import Bundle
from vle.host.device import Device

NETS = {
    "recurrent": (nets.network(), {}),
    "aligned": (nets.network(aligned=True), {}),
    "classes": (nets.network(loss="cross_entropy", recurrent=False), {}),
    "filtered": (nets.network(plasticity="filtered"), {}),
    "time constants": (nets.network(recurrent=False), {"time_constants": True}),
    "still": (nets.still_network(), {}),
}

MADE = {}  # designs by name: compiling takes longer than running


def opened(name: str, folder: Path) -> tuple[Device, object]:
    """A device and its design, both as after power-up."""
    net, options = NETS[name]
    path = folder / name.replace(" ", "-")
    if not path.exists():
        MADE[name] = nets.design(net, **options)
        MADE[name].save(path)
    made = MADE[name]
    made.restart()
    bundle = Bundle.of_json(json.loads((path / "design.json").read_text()), path)
    return Device(bundle, ModelChip(made.chip)), made


def lesson(name: str, steps: int = 40):
    x, y = nets.signal(steps)
    return x, (nets.classes(steps) if NETS[name][0].loss == "cross_entropy" else y)


def same_state(device: Device, design) -> None:
    want = words_of(design.learning, design.state)
    got = device.snapshot()
    for key, raw in got.words.items():
        if not key[0].startswith("table"):
            assert np.array_equal(raw, want[key]), key
    assert got.registers == registers_of(design.state)
