"""The command `vle-compile`: from a model to a bundle."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from vle.compiler.cli.command import command

__all__ = ["main"]

BAD_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code: 0, 2 for bad input, 1 for a bug of ours."""
    try:
        code = command.main(arguments, prog_name="vle-compile", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"vle-compile: error: {error.format_message()}", err=True)
        code = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        click.echo("vle-compile: error: interrupted", err=True)
        code = INTERRUPTED
    sys.exit(code)
