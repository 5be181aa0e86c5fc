"""Boards: one small file each, found by name, or a user's own, found by path."""

from __future__ import annotations

from pathlib import Path

from vle.compiler.planning.boards.board import Board
from vle.compiler.planning.boards.description import Description
from vle.compiler.planning.boards.devices import DEVICES, Device
from vle.compiler.planning.boards.reading import read_board
from vle.errors import CompileError

__all__ = [
    "BOARDS",
    "DESCRIPTIONS",
    "DEVICES",
    "Board",
    "Description",
    "Device",
    "board_named",
    "described",
]

ORDER = ("ulx3s-85f", "icebreaker", "tang-nano-20k")
DESCRIPTIONS = {name: read_board(Path(__file__).with_name(f"{name}.toml")) for name in ORDER}
BOARDS = {name: description.board for name, description in DESCRIPTIONS.items()}


def described(board: str) -> Description:
    """Return the description of a board: by its name, or the path of a ``.toml`` file.

    Raises
    ------
    CompileError
        If there is none, or its file breaks a rule.
    """
    if board in DESCRIPTIONS:
        return DESCRIPTIONS[board]
    if not board.endswith(".toml"):
        names = ", ".join(BOARDS)
        raise CompileError(f"board must be one of {names}, or a .toml file, not {board!r}")
    return read_board(Path(board))


def board_named(name: str) -> Board:
    """Return what `described` finds, as a plan needs it."""
    return described(name).board
