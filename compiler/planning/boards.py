"""What a board offers to a plan."""

from __future__ import annotations

from dataclasses import dataclass

from vle.errors import CompileError


@dataclass(frozen=True)
class Board:
    """Resources of a board's FPGA.

    Parameters
    ----------
    name
        As `--board` takes it.
    device
        The FPGA.
    multipliers, multiplier_width
        Hard multipliers and the signed bits of their operands.
    block_bits, blocks
        Bits of a memory block and how many there are.
    luts
        Four-input look-up tables.
    logic_neurons
        Whether the neurons' multipliers are made of logic, where hard ones are few.
    """

    name: str
    device: str
    multipliers: int
    multiplier_width: int
    block_bits: int
    blocks: int
    luts: int
    logic_neurons: bool = False

    @property
    def memory_bits(self) -> int:
        """Bits of all memory blocks."""
        return self.block_bits * self.blocks


BOARDS = {
    board.name: board
    for board in (
        Board("ulx3s-85f", "LFE5U-85F", 156, 18, 18432, 208, 83640),
        Board("icebreaker", "iCE40UP5K", 8, 16, 4096, 30, 5280, logic_neurons=True),
        Board("tang-nano-20k", "GW2AR-18C", 48, 18, 18432, 46, 20736),
    )
}


def board_named(name: str) -> Board:
    """Return the board of that name.

    Raises
    ------
    CompileError
        If there is none.
    """
    if name not in BOARDS:
        raise CompileError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
