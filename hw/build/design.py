"""A design on a board."""

from __future__ import annotations

from dataclasses import replace

from vle.compiler.bundle.bitstream import Bitstream
from vle.compiler.design import Design
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.choices import choose
from vle.compiler.planning.resources import fit
from vle.hw.boards.top import BoardTop
from vle.hw.build.flow import build
from vle.hw.build.tools import Progress

# What place and route counts, and what the plan calls it: a cell has a table and a register.
KINDS = (("luts", "cells"), *((kind, kind) for kind in ("blocks", "multipliers", "sprams")))


def build_design(design: Design, options: BuildOptions, say: Progress) -> Bitstream:
    """Build a bitstream of a design; see `vle.hw.build.flow.build`."""
    found = fit(design.chip, options.board.board)
    predicted = {kind: _with_line(options, kind, getattr(found, name)) for kind, name in KINDS}
    choices = choose(design.chip, options.board.board)
    options = replace(options, step_s=design.reference.dt)
    return build(
        lambda source: BoardTop(design.chip, options, source),
        options,
        choices,
        predicted,
        say,
    )


def _with_line(options: BuildOptions, kind: str, need: tuple[int, int]) -> int:
    """Add what the plan leaves of the device to the link: what it does not offer the chip."""
    return need[0] + getattr(options.board.chip, kind) - need[1]
