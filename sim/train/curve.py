"""The curve of a training run as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vle.sim.train.trainer import Epoch


def draw(history: Sequence[Epoch], best: int, title: str) -> bytes:
    """Return a PNG: cost of training and validation above, accuracy or error below.

    Parameters
    ----------
    history : sequence of Epoch
        One or more.
    best : int
        The epoch that is kept; it is marked.
    title : str
        Of the picture.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    epochs = [done.epoch for done in history]
    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    marker = "." if len(history) < 40 else ""
    above.plot(epochs, [done.cost for done in history], marker=marker, label="training")
    costs = [done.validation.cost for done in history]
    above.plot(epochs, costs, marker=marker, label="validation, averaged weights")
    above.set(yscale="log", ylabel="cost", title=title)
    above.legend()
    accuracy = history[0].validation.higher_is_better
    figures = [done.validation.figure for done in history]
    below.plot(epochs, figures, color="tab:orange", marker=marker)
    chosen = next(done for done in history if done.epoch == best)
    below.plot(
        [best], [chosen.validation.figure], "o", color="tab:red", label=f"kept: epoch {best}"
    )
    below.set(
        xlabel="epoch",
        ylabel="validation accuracy" if accuracy else "normalized rms error of validation",
        yscale="linear" if accuracy else "log",
    )
    below.legend(loc="lower right" if accuracy else "upper right")
    for axes in (above, below):
        axes.grid(visible=True, alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
