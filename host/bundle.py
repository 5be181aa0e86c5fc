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
MANIFEST = "design.json"


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
    learning
        What its layers have in common in learning; None: it does not learn.
    map
        Registers and windows.
    plain
        The manifest.
    """

    folder: Path
    layers: tuple[LayerShape, ...]
    aligned: bool
    learning: NetworkLearning | None
    map: RegisterMap = field(repr=False)
    plain: dict[str, Any] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle.

        Raises
        ------
        TransportError
            Where the folder is none.
        """
        try:
            plain = json.loads(_read(folder, MANIFEST))
            if (plain["format"], plain["version"]) != FORMAT:
                raise TransportError(f"{folder} must be a bundle of version {FORMAT[1]}")
            return cls.of_json(plain, folder)
        except ValueError as error:
            raise TransportError(f"{folder} must be a bundle: {error}") from error
        except KeyError as error:
            raise TransportError(f"{folder} must be a bundle, but lacks {error}") from error
        except (TypeError, AttributeError) as error:
            rule = f"{folder} must be a bundle, but its {MANIFEST} is damaged"
            raise TransportError(f"{rule}: {error}") from error

    @classmethod
    def of_json(cls, plain: dict[str, Any], folder: Path) -> Self:
        """Read the manifest."""
        given = plain.get("learning")
        parts = plain["layers"], given["layers"] if given else [None] * len(plain["layers"])
        layers = tuple(LayerShape.of_json(*pair) for pair in zip(*parts, strict=True))
        if not layers:
            raise ValueError(f"layers in {MANIFEST} must be one or more")
        if not isinstance(plain.get("board") or {}, dict):
            raise ValueError(f"board in {MANIFEST} must be an object, not {plain['board']!r}")
        learning = None
        if given:
            target, beta = Format.of_json(given["target_format"]), plain["reference"]["beta"]
            learning = NetworkLearning(given["loss"], target, beta)
        registers = RegisterMap.of_json(plain["registers"])
        return cls(folder, layers, plain["aligned"], learning, registers, plain)

    def file(self, name: str) -> bytes:
        """Return what is in a file of the bundle.

        Raises
        ------
        TransportError
            Where there is none, or it is not that of the manifest.
        """
        data = _read(self.folder, name)
        if self.plain.get("files", {}).get(name) != hashlib.sha256(data).hexdigest():
            path = self.folder / name
            raise TransportError(f"{path} is damaged: it differs from its hash in {MANIFEST}")
        return data

    @property
    def board(self) -> dict[str, Any]:
        """What is said of the board that it was built for; empty where of none."""
        return dict(self.plain.get("board") or {})

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


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        needs = " with Verilog" * name.endswith(".v")
        raise TransportError(f"{folder} must be a bundle{needs}, but has no {name}") from error
    except OSError as error:
        raise TransportError(f"{folder} must be a bundle: {error}") from error
