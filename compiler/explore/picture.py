"""The picture of an exploration: error against memory, and against clocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

Row = dict[str, Any]
TICKS = 8


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the designs, those that no other beats marked and joined."""
    rows = found["designs"]
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    lanes = sorted({row["lanes"] for row in rows})
    bits = [row["mean_bits"] for row in rows]
    _panel(left, rows, "memory_bits", [lanes.index(row["lanes"]) for row in rows])
    points = _panel(right, rows, "cycles_per_step", bits, cmap="viridis_r")
    left.set(xlabel="memory, bits", ylabel=_what(rows), title="colour: lanes, few to many")
    right.set(xlabel="clocks per step", title="filled: no other design is better in all three")
    figure.colorbar(points, ax=right, label="bits per weight, on the average")
    handles = [
        left.plot([], [], "o", color=_cmap("plasma")(_part(i, len(lanes))), label=f"{n} lanes")[0]
        for i, n in enumerate(lanes)
    ]
    left.legend(handles=handles, fontsize="small", frameon=False)
    figure.suptitle(f"{found['model']}: {len(rows)} designs; squares: widths mixed by layer")
    figure.savefig(path, dpi=130)


def _panel(
    axes: Axes, rows: Sequence[Row], cost: str, colours: Sequence[float], cmap: str = "plasma"
) -> Any:
    """One cloud of points with its front; returns the last drawn, for a colour bar."""
    last = None
    scale: dict[str, Any] = {"vmin": min(colours), "vmax": max(*colours, min(colours) + 1)}
    for mixed, marker in ((False, "o"), (True, "s")):
        for best in (False, True):
            which = [i for i, r in enumerate(rows) if (r["mixed"], r["pareto"]) == (mixed, best)]
            if not which:
                continue
            x, y = [rows[i][cost] for i in which], [_loss(rows[i]) for i in which]
            shade = np.array([colours[i] for i in which], float)
            last = axes.scatter(
                x,
                y,
                c=shade,
                cmap=cmap,
                marker=marker,
                s=34 if best else 20,
                alpha=1.0 if best else 0.35,
                linewidths=0.6 if best else 0,
                edgecolors="black" if best else "none",
                zorder=3 if best else 2,
                **scale,
            )
    front = _front([(row[cost], _loss(row)) for row in rows])
    axes.plot(*zip(*front, strict=True), drawstyle="steps-post", color="gray", lw=1, zorder=1)
    _scale(axes, sorted({row[cost] for row in rows}), log=rows[0]["accuracy"] is None)
    return last


def _scale(axes: Axes, costs: Sequence[float], *, log: bool) -> None:
    """Logarithms where numbers are far apart; a tick per cost where these are few."""
    far = costs[-1] > 10 * costs[0]
    if far:
        axes.set_xscale("log")
    if log:
        axes.set_yscale("log")
    if far and len(costs) <= TICKS:
        axes.set_xticks(list(costs))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize="small")
    axes.grid(which="major", lw=0.4)


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Least loss up to each cost."""
    found: list[tuple[float, float]] = []
    for cost, loss in sorted(points):
        if not found or loss < found[-1][1]:
            found.append((cost, loss))
    return found


def _loss(row: Row) -> float:
    return float(100 * (row["error"] if row["accuracy"] is None else 1 - row["accuracy"]))


def _what(rows: Sequence[Row]) -> str:
    if rows[0]["accuracy"] is None:
        return "error of the output, % of its rms"
    return "labels missed, %"


def _cmap(name: str) -> Any:
    from matplotlib import colormaps  # noqa: PLC0415

    return colormaps[name]


def _part(index: int, count: int) -> float:
    return index / max(count - 1, 1)
