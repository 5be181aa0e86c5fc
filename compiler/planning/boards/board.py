"""What a board offers to a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from vle.compiler.planning.boards.devices import DEVICES


@dataclass(frozen=True)
class Board:
    """Resources of a board's FPGA.

    Parameters
    ----------
    name
        As `--board` takes it.
    device
        The FPGA, by a name of `vle.compiler.planning.boards.devices.DEVICES`.
    multipliers, multiplier_width
        Hard multipliers and the signed bits of their operands.
    block_bits, blocks
        Bits of a memory block and how many there are.
    luts
        Four-input look-up tables.
    logic_neurons
        Whether the neurons' multipliers are made of logic, where hard ones are few.
    family
        Which primitives the FPGA has.
    sprams
        Large single-port memories of 262,144 bits.
    """

    name: str
    device: str
    multipliers: int
    multiplier_width: int
    block_bits: int
    blocks: int
    luts: int
    logic_neurons: bool = False
    family: str = "ecp5"
    sprams: int = 0

    @classmethod
    def of_device(cls, name: str, device: str) -> Self:
        """Return the board `name` with a device of the table."""
        has = asdict(DEVICES[device])
        del has["tool_name"]
        return cls(name, device, **has)

    @property
    def memory_bits(self) -> int:
        """Bits of all memory blocks."""
        return self.block_bits * self.blocks
