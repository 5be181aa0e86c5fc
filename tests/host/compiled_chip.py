"""Compiled networks behind the toy device of `link_device`: steps of the integer model."""

from __future__ import annotations

import numpy as np
from model_chip import ModelChip

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import IDENTITY, VERSION, register_map
from vle.compiler.learning.network import Target
from vle.errors import DeviceError
from vle.host.registers import RegisterMap


class CompiledChip:
    """A chip whose words are of 2 bytes.

    Parameters
    ----------
    chip
        What it is a chip of.
    """

    probing = False

    def __init__(self, chip: ChipSpec) -> None:
        self.network = chip.network
        first, last = self.network.layers[0], self.network.layers[-1]
        self.inputs, self.outputs = first.inputs, last.outputs
        assert all(9 <= fmt.width <= 16 for fmt in (first.x_format, last.rate_format))


class LearningChip(CompiledChip):
    """A chip that learns."""

    def __init__(self, chip: ChipSpec) -> None:
        super().__init__(chip)
        self.model = ModelChip(chip)

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


class StillChip(CompiledChip):
    """A chip that does not learn: its registers, and one window of weights."""

    def __init__(self, chip: ChipSpec) -> None:
        super().__init__(chip)
        found = RegisterMap.of_json(register_map(chip).json)
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
