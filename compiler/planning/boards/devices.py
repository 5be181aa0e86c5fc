"""FPGAs that boards can have: their capacities, and what the tools call them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, kw_only=True)
class Capacities:
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
    sprams: int = 0
    logic_neurons: bool = False

    @property
    def memory_bits(self) -> int:
        """Bits of all memory blocks."""
        return self.block_bits * self.blocks


@dataclass(frozen=True, kw_only=True)
class Device(Capacities):
    """An FPGA.

    Parameters
    ----------
    tool_name
        What the place-and-route tool calls it.
    bitstream_bytes
        Of a bitstream in a flash beside it, at most: not compressed, all memories filled; 0 where
        it has a flash of its own inside.
    """

    tool_name: str
    bitstream_bytes: int


FAMILIES = ("ecp5", "ice40", "gowin")
_ECP5 = partial(Device, family="ecp5", multiplier_width=18, block_bits=18432)
_ICE40 = partial(Device, family="ice40", multiplier_width=16, block_bits=4096)
_GOWIN = partial(Device, family="gowin", multiplier_width=18, block_bits=18432)
DEVICES = {
    "LFE5U-12F": _ECP5(
        multipliers=28, blocks=56, luts=24288, tool_name="12k", bitstream_bytes=582_400
    ),
    "LFE5U-25F": _ECP5(
        multipliers=28, blocks=56, luts=24288, tool_name="25k", bitstream_bytes=582_400
    ),
    "LFE5U-45F": _ECP5(
        multipliers=72, blocks=108, luts=43848, tool_name="45k", bitstream_bytes=1_032_400
    ),
    "LFE5U-85F": _ECP5(
        multipliers=156, blocks=208, luts=83640, tool_name="85k", bitstream_bytes=1_927_800
    ),
    "iCE40UP5K": _ICE40(
        multipliers=8,
        blocks=30,
        luts=5280,
        tool_name="up5k",
        bitstream_bytes=104_200,
        sprams=4,
        logic_neurons=True,
    ),
    "GW1NR-9C": _GOWIN(
        multipliers=20, blocks=26, luts=8640, tool_name="GW1N-9C", bitstream_bytes=0
    ),
    "GW2AR-18C": _GOWIN(
        multipliers=48, blocks=46, luts=20736, tool_name="GW2A-18C", bitstream_bytes=910_000
    ),
}
