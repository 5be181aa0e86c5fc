"""Memories of Amaranth's own library, with the plan's choice of what they are made of."""

from __future__ import annotations

from amaranth.hdl import Elaboratable, Shape
from amaranth.lib.memory import Memory

from vle.compiler.planning.mapping import Family, Style, layout


def plain_memory(memory: Memory, family: Family) -> Elaboratable:
    """Build a memory that is no `RegisteredMemory`; synthesis infers it as the plan says.

    One that is never written is a table, which synthesis makes of logic where it is no block.
    """
    lanes = max((len(port.en) for port in memory.write_ports), default=1)
    at_once = any(port.domain == "comb" for port in memory.read_ports)
    width = Shape.cast(memory.shape).width // lanes
    found = layout(width, memory.depth, lanes, family, at_once=at_once)
    kept = memory.write_ports or found.style is Style.BLOCK
    memory.attrs["ram_style"] = found.style.value if kept else "logic"
    return memory.elaborate(None)
