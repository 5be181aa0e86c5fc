"""The options of `vle-compile` that say what is wanted instead of bit widths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vle.errors import CompileError

if TYPE_CHECKING:
    from vle.compiler.search.goal import Goal

NAMES = ("max_error", "target_accuracy", "max_memory", "mean_bits")
OPTIONS = (
    click.option(
        "--max-error",
        type=float,
        help="Smallest weights with so large an error of the outputs (rms, a part of theirs).",
    ),
    click.option(
        "--target-accuracy", type=float, help="Smallest weights that hit so many of the labels."
    ),
    click.option(
        "--labels",
        type=click.Path(path_type=Path),
        help="Classes of the calibration data as .npy: (batch,), or one per frame.",
    ),
    click.option("--max-memory", type=int, help="Best weights within so many bits of memory."),
    click.option("--mean-bits", type=float, help="Best weights of so many bits on the average."),
    click.option("--fit", is_flag=True, help="Best weights that fit the board."),
)


def goal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_goal(options: dict[str, Any]) -> Goal | None:
    """Take the options of the goal out of all others, and put them together.

    Raises
    ------
    CompileError
        For what contradicts itself, and labels that cannot be read.
    """
    from vle.compiler.cli.data import read_array  # noqa: PLC0415 - so that --help answers at once
    from vle.compiler.search.goal import Goal  # noqa: PLC0415

    path, fit = options.pop("labels"), options.pop("fit")
    given = {name: options.pop(name) for name in NAMES}
    if not fit and all(value is None for value in given.values()):
        if path is not None:
            raise CompileError("--labels needs --target-accuracy")
        return None
    if given["target_accuracy"] is not None and path is None:
        raise CompileError("--target-accuracy needs --labels, the classes of the calibration data")
    if options.get("weight_bits") is not None:
        said = next((name for name, value in given.items() if value is not None), "fit")
        option = f"--{said.replace('_', '-')}"
        raise CompileError(f"--weight-bits must not be given with {option}, which finds them")
    labels = None if path is None else read_array(path, "labels", "y")
    try:
        return Goal(**given, fit=fit, labels=labels)
    except ValueError as error:
        raise CompileError(str(error)) from error


class WidthList(click.ParamType[Any]):
    """A number, or numbers separated by commas."""

    name = "bits"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: D102 - of click
        if not isinstance(value, str):
            return value
        try:
            bits = [int(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is neither a number nor numbers separated by commas", param, ctx)
        return bits[0] if len(bits) == 1 else bits
