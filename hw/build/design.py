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

KINDS = ("luts", "blocks", "multipliers", "sprams")


def build_design(design: Design, options: BuildOptions, say: Progress) -> Bitstream:
    """Build a bitstream of a design; see `vle.hw.build.flow.build`."""
    needed = fit(design.chip, options.board.board)
    predicted = {kind: getattr(needed, kind)[0] for kind in KINDS}
    choices = choose(design.chip, options.board.board)
    options = replace(options, step_s=design.reference.dt)
    return build(
        lambda source: BoardTop(design.chip, options, source),
        options,
        choices,
        predicted,
        say,
    )
