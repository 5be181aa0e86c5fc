"""What a board offers to a plan."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from vle.compiler.planning.boards.devices import DEVICES, Capacities


@dataclass(frozen=True, kw_only=True)
class Board(Capacities):
    """Resources of a board's FPGA.

    Parameters
    ----------
    name
        As `--board` takes it.
    device
        The FPGA, by a name of `vle.compiler.planning.boards.devices.DEVICES`.
    """

    name: str
    device: str

    @classmethod
    def of_device(cls, name: str, device: str) -> Self:
        """Return the board `name` with a device of the table."""
        has = {field.name: getattr(DEVICES[device], field.name) for field in fields(Capacities)}
        return cls(name=name, device=device, **has)
