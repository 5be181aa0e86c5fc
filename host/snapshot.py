"""All words of a chip at one moment, as a value and as a file."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vle.host import parameters, state
from vle.host.checks import instance
from vle.host.chip import Chip, Raw
from vle.host.files import write_whole

FORMAT, VERSION = "vle-snapshot", 1


@dataclass(frozen=True)
class Snapshot:
    """Parameters, state, exponents, draws and rates of a chip.

    Parameters
    ----------
    design
        Hash of the design, that of register `HASH`.
    words
        By kind and layer.
    registers
        By name.
    """

    design: int
    words: dict[tuple[str, int], Raw] = field(repr=False)
    registers: dict[str, int] = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as one file; an earlier one is replaced when the new one is complete."""
        head = {"format": FORMAT, "version": VERSION, "design": self.design}
        head |= {"registers": self.registers}
        words = {f"layer{layer}.{kind}": raw for (kind, layer), raw in self.words.items()}
        arrays: dict[str, NDArray[Any]] = {"head": np.array(json.dumps(head)), **words}
        data = io.BytesIO()
        np.savez_compressed(data, allow_pickle=False, **arrays)
        write_whole(path, data.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            For a file that is none, or is damaged.
        OSError
            Where it cannot be read.
        """
        data = Path(path).read_bytes()
        try:
            return cls._of_arrays(data)
        except Exception as error:  # of zip, zlib, NumPy's headers, or what is in them
            raise ValueError(f"{path} must be a whole snapshot of a chip: {error}") from error

    @classmethod
    def _of_arrays(cls, data: bytes) -> Self:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            head: dict[str, Any] = json.loads(str(found["head"]))
            if (head["format"], head["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is not of version {VERSION}")
            arrays = {name: found[name] for name in found.files if name != "head"}
        words = {}
        for name, raw in arrays.items():
            layer, _, kind = name.removeprefix("layer").partition(".")
            words[kind, int(layer)] = raw
        return cls(head["design"], words, head["registers"])


def rates(chip: Chip) -> list[str]:
    """Names of the registers of learning rates."""
    kinds = ("RATE", "TAU_RATE")
    return [name for name in chip.bundle.map.address if name.partition("[")[0] in kinds]


def take(chip: Chip) -> Snapshot:
    """Read all words; the chip must be halted."""
    now = state.read(chip)
    words = {key: chip.get(*key) for key in chip.bundle.map.windows if key not in now.words}
    registers = now.flags | {name: chip.read(name) for name in rates(chip)}
    return Snapshot(chip.bundle.map.hash, words | now.words, registers)


def checked(chip: Chip, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot that this chip can have been in.

    Raises
    ------
    TypeError, ValueError
        For one of another design, and for words that are missing, too many, or do not fit.
    """
    instance("snapshot", snapshot, Snapshot)
    if snapshot.design != chip.bundle.map.hash:
        raise ValueError(
            f"snapshot must be of this design, 0x{chip.bundle.map.hash:08x},"
            f" not of 0x{snapshot.design:08x}"
        )
    state.same("words of the snapshot", snapshot.words, list(chip.bundle.map.windows))
    names = [*state.registers(chip), *rates(chip)]
    state.same("registers of the snapshot", snapshot.registers, names)
    words = {key: chip.check(*key, raw) for key, raw in snapshot.words.items()}
    for name, word in snapshot.registers.items():
        state.check_register(chip, f"snapshot: {name}", name, word)
    layers = [
        {kind: raw for (kind, k), raw in words.items() if k == layer}
        for layer in range(len(chip.bundle.layers))
    ]
    for index, of_layer in enumerate(layers):
        parameters.check_sums(chip, index, of_layer)
    parameters.check_shared(chip, layers)
    return Snapshot(snapshot.design, words, snapshot.registers)


def put(chip: Chip, snapshot: Snapshot) -> None:
    """Write a snapshot that was checked; the chip must be halted."""
    state.write(chip, state.State(snapshot.words, snapshot.registers))
