"""Which wires of an ECP5's netlist decide on its clock, as its cells stand.

A path begins at a register or memory, goes through cells without one, and ends at the next register
or memory. Delays are estimates: of cells, from the family's timing; of wires, in proportion to their
length. They rank the wires, and are no promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Json = dict[str, Any]

WIRE, PER_TILE = 0.4, 0.08  # ns: of every wire, and of each tile of its length
THROUGH = {"LUT4": 0.24, "PFUMX": 0.2, "L6MUX21": 0.2, "CCU2C": 0.45, "TRELLIS_DPR16X4": 0.24}
CARRY = 0.07  # from one cell of a carry chain to the next
TO_REGISTER, WITHOUT = 0.52, {"MULT18X18D": 4.0, "DP16KD": 5.7}  # ns until a word is out
REGISTERED = {"MULT18X18D": 1.0, "DP16KD": 0.9}  # likewise, with a register inside
ENABLES = ("CE", "LSR")
SETUP = 0.3  # of an enable or a reset
WRITES = ("DI", "WAD", "WRE", "WCK")  # ports of distributed memory that end paths
WIDEST = 200  # pins; nets with more go to many places, and their wires are bound to be long


class _Arc(NamedTuple):
    """A wire and the cell behind it: vertices, and the delay besides the wire's own."""

    source: int
    sink: int
    delay: float


class Timing:
    """How much of the longest path goes over each wire.

    Parameters
    ----------
    cells
        Of a netlist of Yosys.
    node
        Number of the node that a cell stands with.
    """

    def __init__(self, cells: Mapping[str, Json], node: Mapping[str, int]) -> None:
        names = [name for name in cells if name in node]
        vertex = {name: k for k, name in enumerate(names)}
        nodes = np.array([node[name] for name in names] * 2, np.intp)
        drivers = {bit: name for name in names for _, bit in _pins(cells[name], "output")}
        arcs = list(_arcs(cells, vertex, drivers))
        self.source = np.array([arc.source for arc in arcs], np.intp)
        self.sink = np.array([arc.sink for arc in arcs], np.intp)
        self.fixed = np.array([arc.delay for arc in arcs])
        self.ends = np.array([nodes[self.source], nodes[self.sink]])
        self.begin = np.array([_begins(cells[name]) for name in names] + [0.0] * len(names))
        level = self._levels()
        self.forward = _groups(level[self.sink])
        self.backward = _groups(level[self.source])[::-1]

    def _levels(self) -> Ints:
        """Cells behind the register that a vertex follows, on the longest way; loops are cut."""
        level = np.zeros(len(self.begin), np.intp)
        for _ in range(len(level)):
            before = level.copy()
            np.maximum.at(level, self.sink, level[self.source] + 1)
            if np.array_equal(level, before) or level.max() > 500:
                break
        return level

    def lengths(self, where: Floats) -> Floats:
        """Return the longest path over each wire, in ns; `where` is `(2, nodes)`, in tiles."""
        a, b = self.ends
        apart = abs(where[:, a] - where[:, b]).sum(0)
        delay = self.fixed + np.where(a == b, 0.0, WIRE + PER_TILE * apart)
        arrival, rest = self.begin.copy(), np.zeros(len(self.begin))
        for arcs in self.forward:
            np.maximum.at(arrival, self.sink[arcs], arrival[self.source[arcs]] + delay[arcs])
        for arcs in self.backward:
            np.maximum.at(rest, self.source[arcs], rest[self.sink[arcs]] + delay[arcs])
        return np.asarray(arrival[self.source] + delay + rest[self.sink])


def _groups(keys: Ints) -> list[Ints]:
    """Return the indices of equal keys, the lowest first."""
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _pins(cell: Json, way: str) -> Iterator[tuple[str, int]]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == way:
            yield from ((port, bit) for bit in bits if isinstance(bit, int))


def _has_register(cell: Json) -> bool:
    settings = cell["parameters"]
    return any(
        str(settings.get(name, "NONE")) not in ("NONE", "NOREG")
        for name in ("REG_PIPELINE_CLK", "REG_OUTPUT_CLK", "REGMODE_A", "REGMODE_B")
    )


def _is_sequential(cell: Json) -> bool:
    """Whether all paths end here; a multiplier without registers is passed through."""
    settings = cell["parameters"].values()
    plain = cell["type"] == "MULT18X18D" and "CLK0" not in map(str, settings)
    return cell["type"] not in THROUGH and not plain


def _begins(cell: Json) -> float:
    """Return when the word of a register or memory is there, in ns."""
    if not _is_sequential(cell):
        return 0.0
    found = REGISTERED if _has_register(cell) else WITHOUT
    return found.get(cell["type"], TO_REGISTER)


def _arcs(
    cells: Mapping[str, Json], vertex: Mapping[str, int], drivers: Mapping[int, str]
) -> Iterator[_Arc]:
    """Wires from drivers to cells: what ends a path has a vertex of its own, behind the others."""
    fanout: dict[int, int] = {}
    for name in vertex:
        for _, bit in _pins(cells[name], "input"):
            fanout[bit] = fanout.get(bit, 0) + 1
    for name, sink in vertex.items():
        cell = cells[name]
        for port, bit in _pins(cell, "input"):
            if bit in drivers and fanout[bit] <= WIDEST:
                ends = _is_sequential(cell) or port in WRITES and cell["type"] != "TRELLIS_FF"
                behind = len(vertex) * ends + sink
                yield _Arc(vertex[drivers[bit]], behind, _delay(cell, port))


def _delay(cell: Json, port: str) -> float:
    """Return what a pin adds: the way through its cell, or what is to be there before the clock."""
    kind = cell["type"]
    if kind == "MULT18X18D" and port[0] in "AB":
        known = str(cell["parameters"].get(f"REG_INPUT{port[0]}_CLK", "NONE")) != "NONE"
        return 0.0 if known else WITHOUT[kind]
    if kind == "CCU2C" and port == "CIN":
        return CARRY
    if kind in THROUGH and port not in WRITES:
        return THROUGH[kind]
    return SETUP * (port in ENABLES)
