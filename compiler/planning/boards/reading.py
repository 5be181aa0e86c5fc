"""Files of boards: TOML, each value checked, one clear line for what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vle.compiler.planning.boards.description import ROLES, Clock, Description, Port
from vle.errors import CompileError

TEXTS = ("name", "device", "platform", "package", "speed", "part", "loader")
NUMBERS = ("baud", "payload_max", "slots", "flash_base", "flash_size")
CLOCK: dict[str, type] = {"hz": int, "default_hz": int, "resource": str, "pin": str}
PORT: dict[str, type] = {"resource": str, "count": int, "inverted": bool}


def read_board(path: Path) -> Description:
    """Read the file of a board.

    Raises
    ------
    CompileError
        Naming the file and the rule that it breaks.
    """
    try:
        return describe(tomllib.loads(path.read_text()))
    except OSError as error:
        raise CompileError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CompileError(f"must be TOML: {error}", file=str(path)) from error
    except ValueError as error:
        raise CompileError(str(error), file=str(path)) from error


def describe(plain: Mapping[str, Any]) -> Description:
    """Turn what a file says into a description.

    Raises
    ------
    ValueError
        For a key that is missing or unknown, and for a value of another type or out of range.
    """
    known: dict[str, Any] = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(NUMBERS, int)}
    sections = {"clock": dict, "attributes": dict, **dict.fromkeys(ROLES, dict)}
    _check("", plain, known | sections, ("name", "device", "clock"))
    attributes = plain.get("attributes", {})
    _check("attributes.", attributes, dict.fromkeys(attributes, (str, int)))
    _check("clock.", plain["clock"], CLOCK, ("hz", "default_hz"))
    return Description(
        clock=Clock(**plain["clock"]),
        ports={role: _port(role, plain[role]) for role in ROLES if role in plain},
        attributes=attributes,
        **{name: plain[name] for name in known if name in plain},
    )


def _port(role: str, plain: Mapping[str, Any]) -> Port:
    pins = dict.fromkeys(ROLES[role], str)
    _check(f"{role}.", plain, PORT | pins)
    given = {name: value for name, value in plain.items() if name in PORT}
    return Port(role, pins={name: plain[name] for name in pins if name in plain}, **given)


def _check(
    where: str,
    plain: Mapping[str, Any],
    known: Mapping[str, Any],
    needed: tuple[str, ...] = (),
) -> None:
    """Refuse keys that are unknown or missing, and values of another type."""
    for key in needed:
        if key not in plain:
            raise ValueError(f"{where}{key} is missing")
    for key, value in plain.items():
        if key not in known:
            raise ValueError(f"{where}{key} must be one of {', '.join(known)}")
        kinds = known[key] if isinstance(known[key], tuple) else (known[key],)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            what = " or ".join(_KINDS[kind] for kind in kinds)
            raise ValueError(f"{where}{key} must be {what}, not {value!r:.60}")


_KINDS = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table"}
