"""What `vle-compile` shows: progress while it works, then the report as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

TOTALS = {
    "cycles_per_step": "clock cycles per step",
    "latency_steps": "steps from input to answer",
    "multipliers": "multipliers",
    "memory_bits": "memory bits",
}


class Terminal:
    """Tables on the standard output, progress on the standard error.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.out = Console(quiet=quiet, highlight=False)
        self.err = Console(stderr=True, quiet=quiet)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show what is going on, where somebody watches."""
        if self.quiet or not self.err.is_terminal:
            yield
            return
        with self.err.status(escape(what)):
            yield

    def show(self, model: Path, folder: Path, report: Mapping[str, Any]) -> None:
        """Show a report."""
        self.out.print(
            _table(
                "layers, formats as Fixed(integer, fraction bits)",
                [_layer(row) for row in report["layers"]],
            )
        )
        self.out.print(
            _table("engines", [_engine(*numbered) for numbered in enumerate(report["engines"])])
        )
        for what, value in _totals(report).items():
            self.out.print(f"{what:28}{value}", soft_wrap=True)
        for note in report["notes"]:
            self.out.print(f"[yellow]note[/]: {escape(str(note))}", soft_wrap=True)
        self.out.print(f"{escape(str(model))} -> {escape(str(folder))}", soft_wrap=True)


def _layer(row: Mapping[str, Any]) -> dict[str, str]:
    """One row of the table of layers."""
    formats = row["formats"]
    return {
        "layer": row["name"],
        "in": str(row["inputs"]),
        "out": str(row["outputs"]),
        "activation": row["activation"] + (" (recurrent)" if row["recurrent"] else ""),
        "weight": f"{formats['weight_width']} bit",
        "potential": _bits(formats["u"]),
        "rate": _bits(formats["rate"]),
        "rates": _span(row["ranges"]["rate"]),
        "engine": str(row["engine"]),
    }


def _engine(index: int, row: Mapping[str, Any]) -> dict[str, str]:
    """One row of the table of engines."""
    return {
        "engine": str(index),
        "PE x SIMD": f"{row['pe']} x {row['simd']}",
        "layers": ", ".join(map(str, row["layers"])),
        "synapse cycles": _text(row["synapse_cycles"]),
        "neuron cycles": _text(row["neuron_cycles"]),
        "stalled": _text(row["stall_cycles"]),
        "useful lanes": f"{row['useful_lanes']:.0%}",
        "memory bits": _text(row["memory_bits"]),
    }


def _totals(report: Mapping[str, Any]) -> dict[str, str]:
    """Figures of the whole chip, and how near it comes to the float network."""
    totals = {what: _text(report[name]) for name, what in TOTALS.items()}
    tried = report["calibration"]
    spread = tried["output_rms"] or 1.0
    totals["inputs"] = (
        f"Fixed({_bits(report['input']['format'])}), {_span(report['input']['range'])}"
    )
    slack = min(row["proof"]["slack_bits"] for row in report["layers"])
    totals["accumulators"] = f"none can overflow, by construction; {slack} bits or more to spare"
    totals["error against float"] = (
        f"{tried['error_rms'] / spread:.2g} of the output (rms), largest {tried['error_max']:.2g}; "
        f"ranges from {tried['source']}"
    )
    return totals


def _table(title: str, rows: list[dict[str, str]]) -> Table:
    """Draw rows under their columns."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(escape, row.values()))
    return table


def _bits(fmt: Mapping[str, int]) -> str:
    return f"{fmt['i_bits']}, {fmt['f_bits']}"


def _span(limits: list[float]) -> str:
    return f"{limits[0]:.3g}..{limits[1]:.3g}"


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
