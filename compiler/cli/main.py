"""How our commands end."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

import click

BAD_INPUT, INTERRUPTED = 2, 130


def leave(command: click.Command, name: str, arguments: Sequence[str] | None) -> None:
    """Run a command and leave with its exit code: 0, 2 for bad input, 1 for a bug of ours."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # tools that run end with us
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"{name}: error: {error.format_message()}", err=True)
        code = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{name}: error: interrupted", err=True)
        code = INTERRUPTED
    sys.exit(code)
