"""The command `vle-compile`: from a model to a bundle."""

from __future__ import annotations

from collections.abc import Sequence

from vle.command import leave
from vle.compiler.cli.command import NAME, command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code: 0, 2 for bad input, 1 for a bug of ours."""
    leave(command, NAME, arguments)
