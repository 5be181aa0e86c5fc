"""What the driver needs to know of a compiled network, read from its bundle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from vle.errors import TransportError
from vle.host.registers import RegisterMap
from vle.host.shapes import Format, LayerShape, NetworkLearning

FORMAT = ("vle-bundle", 1)


@dataclass(frozen=True)
class Bundle:
    """A compiled network, as its driver sees it.

    Parameters
    ----------
    folder
        Where the bundle lies.
    layers
        From the input to the output.
    aligned
        Whether sequences are flushed and shifted unless asked otherwise.
    map
        Registers and windows.
    learning
        What its layers have in common in learning; None: it does not learn.
    verilog
        Text of the top.
    plain
        The manifest.
    """

    folder: Path
    layers: tuple[LayerShape, ...]
    aligned: bool
    learning: NetworkLearning | None
    map: RegisterMap = field(repr=False)
    verilog: str = field(repr=False)
    plain: dict[str, Any] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle with Verilog.

        Raises
        ------
        TransportError
            Where the folder is none, or its Verilog is not that of the manifest.
        """
        try:
            plain = json.loads((folder / "design.json").read_text())
            verilog = (folder / "top.v").read_bytes()
        except FileNotFoundError as error:
            text = f"{folder} must be a bundle with Verilog, but has no {Path(error.filename).name}"
            raise TransportError(text) from error
        except (OSError, ValueError) as error:
            raise TransportError(f"{folder} must be a bundle: {error}") from error
        try:
            if (plain["format"], plain["version"]) != FORMAT:
                raise TransportError(f"{folder} must be a bundle of version {FORMAT[1]}")
            if plain["files"]["top.v"] != hashlib.sha256(verilog).hexdigest():
                raise TransportError(
                    f"{folder / 'top.v'} is damaged: it differs from its hash in design.json"
                )
            return cls.of_json(plain, verilog.decode(), folder)
        except (KeyError, TypeError) as error:
            raise TransportError(f"{folder} must be a bundle, but lacks {error}") from error

    @classmethod
    def of_json(cls, plain: dict[str, Any], verilog: str, folder: Path) -> Self:
        """Read the manifest."""
        given = plain.get("learning")
        parts = plain["layers"], given["layers"] if given else [None] * len(plain["layers"])
        layers = tuple(LayerShape.of_json(*pair) for pair in zip(*parts, strict=True))
        learning = None
        if given:
            target, beta = Format.of_json(given["target_format"]), plain["reference"]["beta"]
            learning = NetworkLearning(given["loss"], target, beta)
        registers = RegisterMap.of_json(plain["registers"])
        return cls(folder, layers, plain["aligned"], learning, registers, verilog, plain)

    @property
    def inputs(self) -> int:
        """Words of an input frame."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Words of an output frame."""
        return self.layers[-1].outputs

    @property
    def latency_steps(self) -> int:
        """Steps from an input frame to the output frame that answers it."""
        return len(self.layers) - 1
