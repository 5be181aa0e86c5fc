"""The options of `vle-compile` that run the FPGA tools too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vle.compiler.cli.terminal import Terminal
from vle.compiler.planning.boards import described
from vle.compiler.planning.build import DEFAULT_SEEDS, LINKS, SENSORS, BuildOptions
from vle.errors import CompileError

if TYPE_CHECKING:
    from vle.compiler import Design
    from vle.compiler.bundle.bitstream import Bitstream

NAMES = ("clock", "seeds", "link", "timer", "sensor", "keep")
OPTIONS = (
    click.option("--bitstream", is_flag=True, help="Run the FPGA tools too; needs --board."),
    click.option("--clock", type=float, help="Megahertz to aim at. [the board's]"),
    click.option("--seeds", type=int, help=f"Placements to try. [{DEFAULT_SEEDS}]"),
    click.option("--link", help=f"How a host talks to it: {' or '.join(LINKS)}. [{LINKS[0]}]"),
    click.option("--timer", is_flag=True, default=None, help="Steps at wall time: dt is seconds."),
    click.option("--sensor", help=f"Whose samples are the inputs: {', '.join(SENSORS)}."),
    click.option("--keep", is_flag=True, default=None, help="Keep what is learned in its flash."),
)


def bitstream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_build(options: dict[str, Any]) -> BuildOptions | None:
    """Take the options of a build out of all others; None where none is wanted.

    Raises
    ------
    CompileError
        For options without `--bitstream`, for that without a board or without its tools, and for
        values that the board cannot have.
    """
    given = {name: options.pop(name) for name in NAMES}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not options.pop("bitstream"):
        if chosen:
            raise CompileError(f"--{next(iter(chosen))} needs --bitstream")
        return None
    if options["board"] is None:
        raise CompileError("--bitstream needs --board")
    from vle.hw.build.families import check_installed  # noqa: PLC0415 - only where it is asked for

    board = described(options["board"])
    check_installed(board)
    if "clock" in chosen:
        chosen["clock_hz"] = chosen.pop("clock") * 1e6
    try:
        return BuildOptions(board, **chosen)
    except ValueError as error:
        raise CompileError(str(error)) from error


def build_bitstream(
    terminal: Terminal, design: Design, options: BuildOptions, target: Path
) -> Bitstream:
    """Run the tools, after a look at whether their result could be kept."""
    from vle.compiler.bundle.files import check_target  # noqa: PLC0415 - as above
    from vle.hw.build.design import build_design  # noqa: PLC0415 - as above

    check_target(target)
    with terminal.working("building the bitstream") as say:
        return build_design(design, options, say)
