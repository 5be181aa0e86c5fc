"""An HDF5 file as dictionaries of arrays, read in a process of its own.

The C library of HDF5 can end the process that it runs in when a file is damaged, so that must be
another one: this file is also the program that it runs.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

LIMIT = 2**31  # bytes of all numbers in a file
SECONDS = 60.0


def read_file(path: Path) -> dict[str, Any]:
    """Read the groups of a file as dictionaries, its data sets as arrays, numbers and texts.

    Raises
    ------
    ValueError
        If it is no HDF5 file, is damaged, or holds more than `LIMIT` bytes of numbers.
    """
    command = [sys.executable, "-I", __file__, str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it must be readable within {SECONDS:g} s; it is damaged") from None
    if done.returncode:
        raise ValueError(f"it is damaged; the HDF5 library ended with {done.returncode}")
    answer: dict[str, Any] | str = pickle.loads(done.stdout)
    if isinstance(answer, str):
        raise ValueError(answer)
    return answer


def _read(path: str) -> dict[str, Any] | str:
    """Return what the file holds, or why it cannot be read."""
    import h5py  # noqa: PLC0415 - only in the process of its own

    try:
        with h5py.File(path, "r") as file:
            sizes = []

            def visit(_: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and item.size is not None:
                    sizes.append(int(item.size) * item.dtype.itemsize)

            file.visititems(visit)
            if sum(sizes) > LIMIT:
                return f"it must hold at most {LIMIT} bytes of numbers, not {sum(sizes)}"
            return _group(file)
    except Exception as error:  # h5py raises what its C library says
        return f"it cannot be read: {' '.join(str(error).split())[:300]}"


def _group(group: Any) -> dict[str, Any]:
    def value(item: Any) -> Any:
        return _group(item) if hasattr(item, "items") else _plain(item[()])

    return {str(_plain(key)): value(item) for key, item in group.items()}


def _plain(value: Any) -> Any:
    return value.decode("utf8") if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_read(sys.argv[1])))
