"""Gowin GW1N and GW2A: what is inferred, with the plan's choice of what is a memory block."""

from __future__ import annotations

from amaranth.hdl import Module

from vle.compiler.planning.choices import Choices
from vle.compiler.planning.mapping import FAMILIES, layout
from vle.hw.primitives.memory import RegisteredMemory

FAMILY = FAMILIES["gowin"]


class Gowin:
    """Hooks of the family.

    Members
    -------
    choices
        Of the chip that is built.
    """

    choices = Choices()

    def get_registered_memory(self, memory: RegisteredMemory) -> Module:
        """Build a memory of blocks, or of look-up tables where it is small."""
        found = layout(memory.lane_width, memory.depth, memory.lanes, FAMILY)
        return memory.inferred(found.style)
