"""Compiled networks behind the toy device of `link_device`: steps of the integer model."""

from __future__ import annotations

import numpy as np
from model_chip import ModelChip

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import IDENTITY, VERSION, register_map
from vle.compiler.learning.network import Target
from vle.errors import DeviceError
from vle.host.registers import RegisterMap


class LearningChip:
    """A chip that learns: words of 2 bytes.

    Parameters
    ----------
    chip
        What it is a chip of.
    """

    probing = False

    def __init__(self, chip: ChipSpec) -> None:
        self.model, network = ModelChip(chip), chip.network
        self.inputs, self.outputs = network.layers[0].inputs, network.layers[-1].outputs
        formats = (network.layers[0].x_format, network.layers[-1].rate_format)
        assert all(9 <= fmt.width <= 16 for fmt in formats)

    def clear(self) -> None:
        self.model.write([self.model.map.address["CTRL"]], [2])

    def step(self, flags: int, x: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        told = None if target is None else Target(target, bool(flags & 8))
        options = {"start": bool(flags & 1), "learn": not flags & 4}
        self.model.state, results = self.model.net.step(self.model.state, x, told, **options)
        return results[-1].r

    def access(self, address: int, word: int | None) -> int:
        if word is None:
            return int(self.model.read([address])[0])
        if self.model.names.get(address) in ("ID", "VERSION", "HASH", "STATUS"):
            raise DeviceError("was refused", address=address)
        signed = int(np.uint32(word).view(np.int32)) if address in self.model.memory else word
        self.model.write([address], [signed])
        return 0


class StillChip:
    """A chip that does not learn: its registers, and one window of weights.

    Parameters
    ----------
    chip
        What it is a chip of.
    """

    probing = False

    def __init__(self, chip: ChipSpec) -> None:
        self.network, found = chip.network, RegisterMap.of_json(register_map(chip).json)
        self.inputs = self.network.layers[0].inputs
        self.outputs = self.network.layers[-1].outputs
        values = {"ID": IDENTITY, "VERSION": VERSION, "HASH": found.hash, "CTRL": 0, "STATUS": 1}
        self.words = {found.address[name]: word for name, word in values.items()}
        self.ctrl = found.address["CTRL"]
        weight = self.network.layers[0].weight
        places = found.windows["weight", 0].matrix(*weight.shape)
        self.memory = dict(zip(places.ravel().tolist(), weight.ravel().tolist(), strict=True))
        self.clear()

    def clear(self) -> None:
        self.state = self.network.reset()

    def step(self, flags: int, x: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        assert target is None
        assert flags & ~1 == 0
        self.state, _ = self.network.step(self.state, x[None], bool(flags))
        return self.state.layers[-1].r[0]

    def access(self, address: int, word: int | None) -> int:
        own = self.memory if address in self.memory else self.words
        if own is self.memory:
            allowed = bool(self.words[self.ctrl] & 1)
        else:
            allowed = address in own and (word is None or address == self.ctrl)
        if not allowed:
            raise DeviceError("was refused", address=address)
        if word is not None:
            own[address] = (
                word & ~6 if address == self.ctrl else int(np.uint32(word).view(np.int32))
            )
            if address == self.ctrl and word & 2:
                self.clear()
        return own[address] & 0xFFFFFFFF
