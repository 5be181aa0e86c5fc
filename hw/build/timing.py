"""What place and route says of a seed, and what the report says of all of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vle.hw.build.families import Tools

MHZ, NS = 1e6, 1e-9
APART = 1e-3  # of the clock that a PLL is found to make from the one that was computed


@dataclass(frozen=True)
class Path:
    """The longest way between two registers.

    Parameters
    ----------
    begin, end
        Cells at its ends.
    ns, routing_ns
        Its delay, and how much of it is wires.
    """

    begin: str
    end: str
    ns: float
    routing_ns: float


@dataclass(frozen=True)
class Run:
    """Place and route from one seed.

    Parameters
    ----------
    seed
        Of the placement.
    clock_hz
        What was aimed at.
    fmax_hz
        The fastest clock that timing meets; None where the tools do not know.
    path
        The path that limits it.
    used
        Cells by kind: `[used, available]`.
    """

    seed: int
    clock_hz: float
    fmax_hz: float | None
    path: Path | None
    used: dict[str, tuple[float, float]]

    @property
    def met(self) -> bool:
        """Whether the clock aimed at is within what timing meets, as far as the tools know."""
        return self.fmax_hz is None or self.fmax_hz >= self.clock_hz


def read_run(seed: int, clock_hz: float, text: str, tools: Tools) -> Run:
    """Read the report of place and route."""
    plain = json.loads(text)
    fmax, path = None, None
    if tools.timed:
        clock = min(plain["fmax"].values(), key=lambda found: found["achieved"])
        assert abs(clock["constraint"] * MHZ / clock_hz - 1) < APART, "the PLL makes another clock"
        fmax, path = clock["achieved"] * MHZ, _path(plain["critical_paths"])
    return Run(seed, clock_hz, fmax, path, _used(plain["utilization"], tools))


def _path(paths: list[dict[str, Any]]) -> Path | None:
    """Return the longest path from a clock's edge to the same clock's edge."""
    longest = None
    for found in paths:
        if found["from"] != found["to"] or "edge" not in found["from"]:
            continue
        parts = found["path"]
        wires = sum(part["delay"] for part in parts if part["type"] == "routing")
        ends = parts[0]["from"]["cell"], parts[-1]["to"]["cell"]
        path = Path(*ends, round(sum(part["delay"] for part in parts), 3), round(wires, 3))
        if longest is None or path.ns > longest.ns:
            longest = path
    return longest


def _used(cells: dict[str, dict[str, int]], tools: Tools) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for kind, weights in tools.kinds.items():
        used = sum(
            weight * cells[cell]["used"] for cell, weight in weights.items() if cell in cells
        )
        found[kind] = (used, cells[next(iter(weights))]["available"])
    return found


def timing_section(
    runs: Sequence[Run], chosen: Run, wanted_hz: float, predicted: dict[str, int], tool: str
) -> dict[str, Any]:
    """Return the part `timing` of the report; see docs/bundle.md.

    Parameters
    ----------
    runs
        Of all seeds and all clocks that were tried.
    chosen
        That of the bitstream.
    wanted_hz
        The clock that was asked for.
    predicted
        What the plan said of each kind of cell.
    tool
        Version of place and route.
    """
    first = [run.fmax_hz for run in runs if run.clock_hz == runs[0].clock_hz]
    known = [fmax for fmax in first if fmax is not None]
    return {
        "clock_hz": round(chosen.clock_hz),
        "wanted_hz": round(wanted_hz),
        "timed": chosen.fmax_hz is not None,
        "seed": chosen.seed,
        "runs": [
            {
                "seed": run.seed,
                "clock_hz": round(run.clock_hz),
                "fmax_hz": None if run.fmax_hz is None else round(run.fmax_hz),
            }
            for run in runs
        ],
        "median_fmax_hz": round(statistics.median(known)) if known else None,
        "critical_path": None
        if chosen.path is None
        else {
            "from": chosen.path.begin,
            "to": chosen.path.end,
            "ns": chosen.path.ns,
            "routing_ns": chosen.path.routing_ns,
        },
        "resources": {
            kind: {"used": used, "available": has, "predicted": predicted.get(kind)}
            for kind, (used, has) in chosen.used.items()
        },
        "tool": tool,
    }
