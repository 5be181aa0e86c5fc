"""Calibration data and labels on disk."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vle.errors import CompileError

if TYPE_CHECKING:
    from vle.sim import Network

KEY = "x"  # the array to take where an .npz holds several


def read_calibration(path: Path, network: Network) -> NDArray[np.float64]:
    """Read recorded inputs, in real units.

    Parameters
    ----------
    path
        An ``.npy`` file, or an ``.npz`` with one array or one named ``x``.
    network
        What it is for.

    Returns
    -------
    ``(T, inputs)`` or ``(T, batch, inputs)``.

    Raises
    ------
    CompileError
        Naming the file and the rule, if it holds no such array.
    """
    array = read_array(path, "calibration data", KEY)
    try:
        return _checked(array, network.inputs)
    except CompileError as error:
        raise CompileError(error.message, file=str(path)) from error


def read_array(path: Path, what: str, key: str) -> NDArray[Any]:
    """Read an ``.npy`` file, or an ``.npz`` with one array or one named `key`.

    Raises
    ------
    CompileError
        Naming the file and the rule, if it holds no such array.
    """
    try:
        return _array(path, what, key)
    except CompileError as error:
        raise CompileError(error.message, file=str(path)) from error


def _array(path: Path, what: str, key: str) -> NDArray[Any]:
    try:
        with path.open("rb") as file:  # np.load would leave a broken archive open
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else _chosen(loaded, key)
    except FileNotFoundError:
        raise CompileError("there is no such file") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        rule = f"must be {what} as .npy or .npz"
        raise CompileError(f"{rule}: {getattr(error, 'strerror', None) or error}") from error


def _chosen(archive: Mapping[str, Any], key: str) -> NDArray[Any]:
    """Take the only array of an archive, or the one with the right name."""
    names = list(archive)
    if key not in names and len(names) != 1:
        raise CompileError(f"must hold one array, or one named {key!r}, not {names}")
    array: NDArray[Any] = archive[key if key in names else names[0]]
    return array


def _checked(array: NDArray[Any], inputs: int) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiub":
        raise CompileError(f"calibration must be real numbers, not {array.dtype}")
    if array.ndim not in (2, 3) or array.shape[-1] != inputs:
        rule = f"calibration must be of shape (T, {inputs}) or (T, batch, {inputs})"
        raise CompileError(f"{rule}, not {array.shape}")
    if not array.size:
        raise CompileError(f"calibration must have at least one frame, not shape {array.shape}")
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        bad = numbers[~np.isfinite(numbers)][0]
        raise CompileError(f"calibration must be finite, not {bad}")
    return numbers
