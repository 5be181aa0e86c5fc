"""The file format of a network: plain ONNX that any runtime can run (docs/onnx.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vle.sim.onnx_format import reader
from vle.sim.onnx_format.files import read_model_file, write_model_file
from vle.sim.onnx_format.reader import FormatError, from_model, is_ours
from vle.sim.onnx_format.writer import to_model

if TYPE_CHECKING:
    from vle.sim import Network

__all__ = ["FormatError", "from_model", "is_ours", "load", "read_metadata", "save", "to_model"]


def save(
    network: Network,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as an ONNX model, whole or not at all.

    Parameters
    ----------
    network
        What to write; `load` brings back an equal one.
    path
        The file; one that is there is replaced.
    metadata
        Further settings as JSON values, such as the formats of a network read back from a chip.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the network does not fit one protobuf message (2 GiB).
    """
    write_model_file(to_model(network, metadata), path)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `save` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file; the message names file, node and rule. `vle.compiler.frontend`
        reads models of other origin.
    """
    model = read_model_file(path)
    if not is_ours(model):
        raise ValueError(
            f"{path}: must be a network that vle wrote; others are for "
            "vle.compiler.frontend.read_model"
        )
    try:
        return from_model(model)
    except FormatError as error:
        raise ValueError(f"{path}: {error}") from error


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the further settings that `save` was given; empty where there were none."""
    return reader.read_metadata(read_model_file(path))
