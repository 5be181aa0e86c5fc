"""From a model to a list of designs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from vle.compiler.explore.designs import BITS, LANES, MIXED, explore
from vle.compiler.explore.pool import Each
from vle.compiler.frontend import Imported, import_model
from vle.compiler.planning.boards import board_named
from vle.compiler.quantization.calibration import calibrate, frames
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.given import Given
from vle.compiler.search.goal import checked_labels
from vle.compiler.search.judge import Judge
from vle.errors import CompileError


def explore_model(
    model: str | os.PathLike[str] | Imported,
    each: Each,
    *,
    calibration: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    input_range: tuple[float, float] | None = None,
    weight_bits: Sequence[int] | None = None,
    lanes: Sequence[int] | None = None,
    mixed: int = MIXED,
    board: str | None = None,
) -> dict[str, Any]:
    """Judge and plan many designs of a model.

    Parameters
    ----------
    model
        An ONNX file, a NIR graph, or what a front end made of one.
    each
        Maps a function over items, as `vle.compiler.explore.pool.pool` yields it.
    calibration, labels, input_range
        As of `vle.compiler.compile_model` and `vle.compiler.Goal`.
    weight_bits, lanes, mixed
        As of `vle.compiler.explore.designs.explore`.
    board
        That designs must fit.

    Returns
    -------
    Plain JSON: `model`, `source` of the ranges, and `designs`.

    Raises
    ------
    CompileError
        For input that no design can be made of.
    """
    imported = model if isinstance(model, Imported) else import_model(model)
    bits, counts = tuple(weight_bits or BITS), tuple(lanes or LANES)
    for what, values, low, high in (("weight bits", bits, 2, 16), ("lanes", counts, 1, 1 << 20)):
        if not all(low <= value <= high for value in values):
            raise CompileError(f"{what} must be in {low}..{high}, not {values}")
    if mixed < 0:
        raise CompileError(f"mixed must be 0 or more, not {mixed}")
    target = None if board is None else board_named(board)
    network, labelled = imported.network, None
    if labels is not None:
        if calibration is None:
            raise CompileError("labels need calibration data, which they are of")
        shape = np.shape(calibration)[:-1]
        classes = checked_labels(labels, shape, network.layers[-1].outputs)
        labelled = (frames(network, calibration), classes)
    with threadpool_limits(1):  # as where designs are judged
        known = calibrate(network, calibration, input_range)
        given = Given(imported.grids, imported.inputs)
        judge = Judge.of(network, known, Widths(), given, labelled)
        found = explore(judge, each, bits=bits, lanes=counts, mixed=mixed, board=target)
    return {
        "model": Path(imported.file).name if imported.file else "network",
        "source": known.source,
        "board": board,
        "designs": found,
    }
