"""What `vle-compile` shows of a bitstream: its clock, and its cells beside those predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {
    "luts": "look-up tables",
    "registers": "registers",
    "blocks": "memory blocks",
    "multipliers": "multipliers",
    "sprams": "large memories",
}


def cells(timing: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of the table of cells."""
    return [
        {
            "cells": KINDS[kind],
            "used": f"{row['used']:,g}",
            "of": f"{row['available']:,g}",
            "predicted": "-" if row["predicted"] is None else f"{row['predicted']:,}",
        }
        for kind, row in timing["resources"].items()
    ]


def clocks(timing: Mapping[str, Any]) -> dict[str, str]:
    """Lines on the clock."""
    found = {"clock": _mhz(timing["clock_hz"])}
    if not timing["timed"]:
        found["clock"] += ", not timed: the tools do not know this FPGA's multipliers and memories"
        return found
    if timing["clock_hz"] != timing["wanted_hz"]:
        found["clock"] += f", of {_mhz(timing['wanted_hz'])} wanted"
    seeds = ", ".join(f"{_mhz(run['fmax_hz'])} (seed {run['seed']})" for run in timing["runs"])
    found["fastest that timing meets"] = f"{seeds}; median {_mhz(timing['median_fmax_hz'])}"
    path = timing["critical_path"]
    if path is not None:
        ends = f"{path['from']} to {path['to']}"
        found["longest path"] = f"{path['ns']} ns, {path['routing_ns']} of it wires: {ends}"
    return found


def _mhz(hz: float) -> str:
    return f"{hz / 1e6:.4g} MHz"
