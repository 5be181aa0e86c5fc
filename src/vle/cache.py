"""Where what was built once is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where libraries are kept: `$VLE_CACHE`, or `vle` in the user's cache folder."""
    own = os.environ.get("VLE_CACHE")
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(user) / "vle"
