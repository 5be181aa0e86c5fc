"""Checkpoints: one file that is whole or not there, and holds all that training goes on from."""

from __future__ import annotations

import io
import json
import os
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
        If the file is no checkpoint of this format, or is truncated or damaged.
    """
    text = _read(path, ("record",))["record"]
    try:
        data: dict[str, Any] = json.loads(str(text))
        found = data.get("format")
    except (ValueError, AttributeError) as error:
        raise _damaged(path, error) from error
    if found != FORMAT:
        raise ValueError(f"{path} must be of checkpoint format {FORMAT}, not {found!r}")
    for name, kind in (("recipe", dict), ("history", list)):
        if not isinstance(data.get(name), kind):
            raise _damaged(path, f"its record has no {name}")
    return data


def arrays(path: Path, like: Any) -> Any:
    """Return the tree of arrays of a checkpoint, in the form of `like`.

    Raises
    ------
    ValueError
        If the leaves differ in number, shape or type, or are damaged.
    """
    expected, form = jax.tree.flatten(like)
    found = _read(path)
    leaves = [found[name] for name in sorted(found) if name != "record"]
    same = len(leaves) == len(expected) and all(
        a.shape == np.shape(b) and a.dtype == np.asarray(b).dtype
        for a, b in zip(leaves, expected, strict=True)
    )
    if not same:
        raise ValueError(f"{path} must hold the arrays of its recipe, not others")
    return jax.tree.unflatten(form, [jax.numpy.asarray(a) for a in leaves])


def _read(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Read arrays of a checkpoint, all of them where none are named."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            return {name: file[name] for name in names or file.files}
    except OSError:
        raise
    except Exception as error:  # zipfile and NumPy fail in many ways on damaged bytes
        raise _damaged(path, error) from error


def _damaged(path: Path, error: object) -> ValueError:
    reason = error if isinstance(error, str) else type(error).__name__
    return ValueError(f"{path} must be a whole checkpoint of vle-train: {reason}")
