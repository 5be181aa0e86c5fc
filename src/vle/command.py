"""How our commands end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence

import click

from vle.errors import VleError

BAD_INPUT, INTERRUPTED, UNHEARD = 2, 130, 1  # 130: 128 + SIGINT, as a shell has it; 1 is click's


def leave(command: click.Command, name: str, arguments: Sequence[str] | None) -> None:
    """Run a command and leave with its exit code: 0, 2 for bad input, 1 for a bug of ours.

    130 where it was interrupted, by SIGINT or SIGTERM, and 1, silently, where nobody reads on.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # tools that run end with us
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        code = _said(name, error.format_message(), BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        code = _said(name, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        _be_silent()
        code = UNHEARD
    except (VleError, ValueError, OSError) as error:
        code = _said(name, " ".join(str(error).split()), BAD_INPUT)
    sys.exit(code)


def _said(name: str, text: str, code: int) -> int:
    click.echo(f"{name}: error: {text}", err=True)
    return code


def _be_silent() -> None:
    """Let what is still to be written go nowhere: Python writes it as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
