"""Repeaters in the nets that nextpnr would route over the segments of a Gowin FPGA.

A net of 8 to 50 pins, more than ten of them far from its source, is first tried on long vertical
wires, each pin by a search over the whole chip: minutes, for delays no shorter. So such nets get
look-up tables that repeat them, and no more pins than ten.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST, WIDEST = 10, 50  # pins of a net that is left as it is; wider ones are left as well
SOURCES = ("LUT", "DFF", "ALU", "MUX2_LUT")  # beginnings of kinds; no clocks, no pads
DIRECT = {"ALU": ("CIN",)} | {f"MUX2_LUT{k}": ("I0", "I1") for k in range(5, 9)}  # own wires
WEIGHTS = {"RAM16SDP4": 4}  # look-up tables that share the pin
Json = dict[str, Any]


@dataclass(frozen=True)
class _Pin:
    """Bit `index` of an input of a cell."""

    cell: str
    port: str
    index: int
    weight: int


def put_repeaters(file: Path) -> None:
    """Put repeaters into the netlist in `file`, as Yosys has written it."""
    design = json.loads(file.read_text())
    repeat(design["modules"]["top"]["cells"])
    file.write_text(json.dumps(design))


def repeat(cells: dict[str, Json]) -> None:
    """Put repeaters between nets and their pins, in as many levels as it takes."""
    drivers, pins = _nets(cells)
    new = max((*drivers, *pins), default=0)
    for net, ends in pins.items():
        if len(ends) > WIDEST or not drivers.get(net, "").startswith(SOURCES):
            continue
        while sum(end.weight for end in ends) > MOST:
            taken, ends = _first(ends)
            new += 1
            for end in taken:
                cells[end.cell]["connections"][end.port][end.index] = new
            cells[f"repeater{new}"] = _repeater(net, new)
            ends.append(_Pin(f"repeater{new}", "I0", 0, 1))


def _nets(cells: dict[str, Json]) -> tuple[dict[int, str], dict[int, list[_Pin]]]:
    """Return by net the kind of cell that drives it, and the pins that may be driven by another."""
    drivers: dict[int, str] = {}
    pins: dict[int, list[_Pin]] = defaultdict(list)
    for name, cell in cells.items():
        kind, ways = cell["type"], cell["port_directions"]
        for port, bits in cell["connections"].items():
            for index, net in enumerate(bits):
                if not isinstance(net, int):
                    continue
                if ways[port] == "output":
                    drivers[net] = kind
                elif port not in DIRECT.get(kind, ()):
                    pins[net].append(_Pin(name, port, index, WEIGHTS.get(kind, 1)))
    return drivers, pins


def _first(ends: list[_Pin]) -> tuple[list[_Pin], list[_Pin]]:
    """Divide pins into those of the next repeater, and others."""
    total = list(itertools.accumulate(end.weight for end in ends))
    count = sum(weight <= MOST for weight in total)
    return ends[:count], ends[count:]


def _repeater(net: int, new: int) -> Json:
    """Return a look-up table that passes a net on."""
    ways = {"I0": "input", "F": "output"}
    cell = {"hide_name": 0, "type": "LUT1", "parameters": {"INIT": "10"}, "attributes": {}}
    return cell | {"port_directions": ways, "connections": {"I0": [net], "F": [new]}}
