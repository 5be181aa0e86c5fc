"""FPGAs that boards can have: their capacities, and what the tools call them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """What is on an FPGA, as its place-and-route tool counts it.

    Parameters
    ----------
    family
        One of `FAMILIES`; it decides the tools and the primitives.
    multipliers, multiplier_width
        Hard multipliers and the signed bits of their operands.
    block_bits, blocks
        Bits of a memory block and how many there are.
    luts
        Four-input look-up tables.
    tool_name
        What the place-and-route tool calls it.
    sprams
        Large single-port memories of 262,144 bits.
    logic_neurons
        Whether the neurons' multipliers are made of logic, since hard ones are few.
    """

    family: str
    multipliers: int
    multiplier_width: int
    block_bits: int
    blocks: int
    luts: int
    tool_name: str
    sprams: int = 0
    logic_neurons: bool = False


FAMILIES = ("ecp5", "ice40", "gowin")
DEVICES = {
    "LFE5U-12F": Device("ecp5", 28, 18, 18432, 56, 24288, "12k"),
    "LFE5U-25F": Device("ecp5", 28, 18, 18432, 56, 24288, "25k"),
    "LFE5U-45F": Device("ecp5", 72, 18, 18432, 108, 43848, "45k"),
    "LFE5U-85F": Device("ecp5", 156, 18, 18432, 208, 83640, "85k"),
    "iCE40UP5K": Device("ice40", 8, 16, 4096, 30, 5280, "up5k", 4, logic_neurons=True),
    "GW1NR-9C": Device("gowin", 20, 18, 18432, 26, 8640, "GW1N-9C"),
    "GW2AR-18C": Device("gowin", 48, 18, 18432, 46, 20736, "GW2A-18C"),
}
