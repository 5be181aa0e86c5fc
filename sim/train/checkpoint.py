"""Checkpoints: one file that is whole or not there, and holds all that training goes on from."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

FORMAT = 1


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file at once: whoever is interrupted, or out of disk, leaves the old one whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save(path: Path, arrays: Any, record: dict[str, Any]) -> None:
    """Write the leaves of a tree of arrays, and a record that JSON can hold."""
    leaves: dict[str, Any] = {
        f"leaf_{i:04}": np.asarray(a) for i, a in enumerate(jax.tree.leaves(arrays))
    }
    text = json.dumps({"format": FORMAT, **record})
    buffer = io.BytesIO()
    np.savez(buffer, record=np.array(text), **leaves)
    write_atomically(path, buffer.getvalue())


def record(path: Path) -> dict[str, Any]:
    """Return the record of a checkpoint.

    Raises
    ------
    ValueError
        If the file is no checkpoint of this format, or is truncated.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            data: dict[str, Any] = json.loads(str(file["record"]))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path} must be a whole checkpoint of vle-train: {error}") from error
    if data.get("format") != FORMAT:
        raise ValueError(
            f"{path} must be of checkpoint format {FORMAT}, not {data.get('format')!r}"
        )
    return data


def arrays(path: Path, like: Any) -> Any:
    """Return the tree of arrays of a checkpoint, in the form of `like`.

    Raises
    ------
    ValueError
        If the leaves differ in number, shape or type.
    """
    expected, form = jax.tree.flatten(like)
    with np.load(path) as file:
        names = sorted(name for name in file.files if name != "record")
        leaves = [file[name] for name in names]
    same = len(leaves) == len(expected) and all(
        a.shape == np.shape(b) and a.dtype == np.asarray(b).dtype
        for a, b in zip(leaves, expected, strict=True)
    )
    if not same:
        raise ValueError(f"{path} must hold the arrays of its recipe, not others")
    return jax.tree.unflatten(form, [jax.numpy.asarray(a) for a in leaves])
