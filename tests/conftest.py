"""Settings that all tests share; being here, it lets them import the modules beside it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hypothesis import HealthCheck, settings

BUILD = Path(__file__).parents[1] / "build"
SOAK = bool(os.environ.get("VLE_SOAK"))
SEED = int(os.environ.setdefault("VLE_SEED", str(secrets.randbelow(1 << 31) if SOAK else 20260309)))

os.environ.setdefault("VLE_CACHE", str(BUILD / "cache"))
os.environ.setdefault("CCACHE_DIR", str(BUILD / "cache" / "ccache"))


def pytest_report_header() -> str:
    """Say what repeats the run; the processes of pytest-xdist inherit it."""
    return f"VLE_SEED={SEED}" + " VLE_SOAK=1" * SOAK


slow = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("test", deadline=None, suppress_health_check=slow, print_blob=True)
settings.register_profile("soak", settings.get_profile("test"), max_examples=2000)
settings.load_profile("soak" if SOAK else "test")
