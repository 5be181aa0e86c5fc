"""What an exploration writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vle.errors import CompileError


def save(found: dict[str, Any], folder: Path) -> None:
    """Write explore.json and explore.png into a folder, and its name into `found`.

    Raises
    ------
    CompileError
        Where the folder cannot be written.
    """
    from vle.compiler.explore.picture import draw  # noqa: PLC0415 - matplotlib takes a while

    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(found, folder / "explore.png")
        (folder / "explore.json").write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise CompileError(f"cannot be written: {error.strerror}", file=str(folder)) from error
    found["folder"] = str(folder)
