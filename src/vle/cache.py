"""Where what was built once is kept, and where bundles lie that were made or used here."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where libraries are kept: `$VLE_CACHE`, or `vle` in the user's cache folder."""
    own = os.environ.get("VLE_CACHE")
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(user) / "vle"


def remember_bundle(design: int, folder: str | os.PathLike[str]) -> None:
    """Keep where a bundle lies, by the hash of its design, so that a board finds it.

    What cannot be kept is left out: nothing else depends on it.
    """
    path = cache_folder() / "bundles" / f"{design:08x}"
    staged = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(str(Path(folder).resolve()))
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)


def known_bundle(design: int) -> Path | None:
    """Return where a bundle with this hash was last seen; None where nobody knows."""
    try:
        return Path((cache_folder() / "bundles" / f"{design:08x}").read_text())
    except OSError:
        return None
