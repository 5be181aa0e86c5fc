"""What `vle-compile` shows: progress while it works, then the report as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vle.compiler.cli.timing import cells, clocks

TOTALS = {
    "cycles_per_step": "clock cycles per step",
    "latency_steps": "steps from input to answer",
    "multipliers": "multipliers",
    "memory_bits": "memory bits",
}
SENSITIVITY = "which layer hurts: the error that its weights alone add to the outputs"


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
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show what is going on, where somebody watches; what is yielded shows more of it."""
        if self.quiet or not self.err.is_terminal:
            yield lambda _: None
            return
        with self.err.status(escape(what)) as status:
            yield lambda more: status.update(escape(f"{what}: {more}"))

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
        if report["sensitivity"] is not None:
            self.out.print(_table(SENSITIVITY, _sensitivity(report["sensitivity"])))
        for what, value in _totals(report).items():
            self.out.print(f"{what:28}{value}", soft_wrap=True)
        if report["timing"] is not None:
            self.out.print(_table("the bitstream's cells", cells(report["timing"])))
            for what, value in clocks(report["timing"]).items():
                self.out.print(f"{what:28}{escape(value)}", soft_wrap=True)
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


def _sensitivity(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of the table of sensitivities, the worst first."""
    rows = sorted(found["layers"], key=lambda row: -row["share"])
    return [
        {
            "layer": row["layer"],
            "weight": f"{row['weight_width']} bit",
            "adds": f"{row['adds']:.2%}",
            "of all": f"{row['share']:.0%}",
            **{f"at {bits} bit": _part(error) for bits, error in _tried(row)},
        }
        for row in rows
    ]


def _tried(row: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """Errors at some widths that were tried."""
    errors = list(row["errors"].items())
    return errors[:: max(1, -(-len(errors) // 5))]


def _part(error: float | None) -> str:
    return "-" if error is None else f"{error:.2%}"


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
    if report["search"] is not None:
        totals["asked for"] = report["search"]["goal"]
        totals["reached"] = _reached(report["search"])
    slack = min(row["proof"]["slack_bits"] for row in report["layers"])
    totals["accumulators"] = f"none can overflow, by construction; {slack} bits or more to spare"
    totals["error against float"] = (
        f"{tried['error_rms'] / spread:.2g} of the output (rms), largest {tried['error_max']:.2g}; "
        f"ranges from {tried['source']}"
    )
    return totals


def _reached(found: Mapping[str, Any]) -> str:
    """Say what a search has reached."""
    reached = found["reached"]
    text = f"error {reached['error']:.3g} of the output (rms)"
    if "accuracy" in reached:
        text += f", accuracy {reached['accuracy']:.2%} (float {reached['float_accuracy']:.2%})"
    return f"{text}, {found['mean_bits']:.3g} bits per weight on the average"


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
