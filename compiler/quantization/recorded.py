"""Formats that travel with a network in its ONNX file, so that it becomes the same words again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.fixed import Fixed, Raw
from vle.compiler.layer import LayerSpec
from vle.errors import CompileError
from vle.sim import Network

KEY, VERSION = "formats", 1
WIDTHS = ("weight_width", "scale_width", "constant_width")
FORMATS = ("x_format", "u_format", "rate_format")
SHIFTS = ("scale_shift", "alpha_shift", "rho_shift")


@dataclass(frozen=True)
class RecordedLayer:
    """Formats of a layer as a file tells them; as in `LayerSpec`."""

    weight_width: int
    scale_width: int
    constant_width: int
    x_format: Fixed
    u_format: Fixed
    rate_format: Fixed
    scale: Raw
    scale_shift: int
    alpha_shift: int
    rho_shift: int

    @property
    def shifts(self) -> dict[str, int]:
        """Binary points of the words per neuron."""
        return {name: getattr(self, name) for name in SHIFTS}


@dataclass(frozen=True)
class Recorded:
    """Formats of a network."""

    layers: tuple[RecordedLayer, ...]


def record(chip: ChipSpec) -> dict[str, Any]:
    """Return the formats of a chip as plain JSON."""
    return {"version": VERSION, "layers": [_plain(layer) for layer in chip.network.layers]}


def _plain(layer: LayerSpec) -> dict[str, Any]:
    return {
        **{name: getattr(layer, name) for name in (*WIDTHS, *SHIFTS)},
        **{name: asdict(getattr(layer, name)) for name in FORMATS},
        "scale": layer.scale.tolist(),
    }


def save(network: Network, chip: ChipSpec, path: str | os.PathLike[str]) -> None:
    """Write a network with the formats that its words have on a chip."""
    from vle.sim import onnx_format  # noqa: PLC0415 - only files need onnx

    onnx_format.save(network, path, metadata={KEY: record(chip)})


def recorded(metadata: Mapping[str, Any], network: Network) -> Recorded | None:
    """Read what `record` wrote; None where there is nothing.

    Raises
    ------
    CompileError
        For formats of another version, or of other layers.
    """
    plain = metadata.get(KEY)
    if plain is None:
        return None
    try:
        if plain["version"] != VERSION:
            raise CompileError(f"formats must be of version {VERSION}, not {plain['version']!r}")
        found = Recorded(tuple(_layer(layer) for layer in plain["layers"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CompileError(f"formats must be those of a network: {error!r}") from error
    sizes = [len(layer.scale) for layer in found.layers]
    wanted = [layer.outputs for layer in network.layers]
    if sizes != wanted:
        raise CompileError(f"formats must be of layers of {wanted} neurons, not {sizes}")
    return found


def _layer(plain: Mapping[str, Any]) -> RecordedLayer:
    fields: dict[str, Any] = {name: int(plain[name]) for name in (*WIDTHS, *SHIFTS)}
    fields |= {name: Fixed(**plain[name]) for name in FORMATS}
    return RecordedLayer(scale=np.array(plain["scale"], dtype=np.int64), **fields)
