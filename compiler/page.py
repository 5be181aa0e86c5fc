"""The report as a page."""

from __future__ import annotations

import json
from typing import Any


def html_page(report: dict[str, Any]) -> str:
    """Return `report.html`."""
    text = json.dumps(report, indent=1)
    return f"<!doctype html><meta charset=utf-8><title>vle</title><pre>{text}</pre>"
