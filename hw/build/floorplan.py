"""Where multipliers and block RAMs of an ECP5 stand, chosen before place and route.

They stand in few rows across the chip, and wires to them are its longest. nextpnr places as if they
could stand anywhere, and moves them to the rows in the end; on chips with many of them that doubles
the length of all wires. So their sites are found first (`vle.hw.build.placement`), with the cells
between them in mind, and given to nextpnr as `BEL`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence

from vle.hw.build.criticality import Timing
from vle.hw.build.placement import Macros, Problem, place
from vle.hw.build.tools import Command, Progress, run_all

MACROS = ("MULT18X18D", "DP16KD")
TILE = 8.0  # look-up tables
AREAS = {"LUT4": 1.0, "CCU2C": 2.0, "TRELLIS_FF": 0.5, "TRELLIS_DPR16X4": 6.0}
AREAS |= dict.fromkeys(("PFUMX", "L6MUX21", *MACROS), 0.0)
JOINED = {"CCU2C": ("CIN",), "PFUMX": ("ALUT", "BLUT"), "L6MUX21": ("D0", "D1")}
WIDEST = 1500  # pins; nets with more, as clocks and resets, are everywhere
FEWEST = 16  # cells; with fewer there is nothing to win
Json = dict[str, Any]
Sites = dict[str, list[str]]  # by kind; names as nextpnr has them


def floorplan(tool: tuple[str, ...], device: tuple[str, ...], folder: Path, say: Progress) -> None:
    """Write into `top.json` in which site each multiplier and each block RAM stands.

    Parameters
    ----------
    tool
        How to start nextpnr.
    device
        Its options that name the device.
    folder
        Where `top.json` is.
    say
        Called with what is at work.
    """
    design = json.loads((folder / "top.json").read_text())
    cells = design["modules"]["top"]["cells"]
    if not any(cell["type"] in MACROS for cell in cells.values()):
        return
    sites = _sites(tool, device, folder, say)
    say("placing multipliers and memories")
    for name, site in chosen(cells, sites).items():
        cells[name]["attributes"]["BEL"] = site
    (folder / "top.json").write_text(json.dumps(design))


def chosen(cells: dict[str, Json], sites: Sites) -> dict[str, str]:
    """Return the site of each macro; of none where nextpnr had better choose itself.

    It refuses more macros than there are sites, and says so; few cells need no help; and in a rare
    network no beginning is found.
    """
    graph = _Graph(cells)
    kinds = {kind: [n for n in graph.names if cells[n]["type"] == kind] for kind in MACROS}
    kinds = {kind: names for kind, names in kinds.items() if names}
    too_many = any(len(names) > len(sites[kind]) for kind, names in kinds.items())
    if too_many or len(graph.areas) < FEWEST or not graph.nets:
        return {}
    places = {kind: np.array([_place(site) for site in sites[kind]]) for kind in kinds}
    macros = [
        Macros(np.array([graph.node[name] for name in names]), places[kind])
        for kind, names in kinds.items()
    ]
    size = np.max([_place(site) for names in sites.values() for site in names], axis=0)
    width, height = (size * 1.08).tolist()  # the outermost sites stand near the edge
    try:
        paths = Timing(cells, graph.node)
        taken = place(Problem(graph.areas, graph.nets, macros, (width, height), paths=paths))
    except ArpackNoConvergence:
        return {}
    return {
        name: sites[kind][index]
        for (kind, names), found in zip(kinds.items(), taken, strict=True)
        for name, index in zip(names, found, strict=True)
    }


class _Graph:
    """Cells, those that stay together as one node, and their nets."""

    def __init__(self, cells: dict[str, Json]) -> None:
        self.names = [name for name, cell in cells.items() if cell["type"] in AREAS]
        together = _together(self.names, cells)
        roots = sorted(set(together.values()))
        index = {root: k for k, root in enumerate(roots)}
        self.node = {name: index[together[name]] for name in self.names}
        self.areas = np.zeros(len(roots))
        nets: dict[int, set[int]] = defaultdict(set)
        for name in self.names:
            self.areas[self.node[name]] += AREAS[cells[name]["type"]] / TILE
            for bit in _bits(cells[name]):
                nets[bit].add(self.node[name])
        self.nets = [np.array(sorted(net)) for net in nets.values() if 1 < len(net) <= WIDEST]


def _bits(cell: Json, flow: str | None = None) -> list[int]:
    """Return the nets at a cell's ports, of one direction where asked for."""
    return [
        bit
        for port, bits in cell["connections"].items()
        if flow is None or cell["port_directions"][port] == flow
        for bit in bits
        if isinstance(bit, int)
    ]


def _together(names: list[str], cells: dict[str, Json]) -> dict[str, str]:
    """Join carry chains, wide multiplexers, and registers with what feeds them alone."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    driver = {bit: name for name in names for bit in _bits(cells[name], "output")}
    for name in names:
        kind = cells[name]["type"]
        for port in JOINED.get(kind, ("DI",) if kind == "TRELLIS_FF" else ()):
            for bit in cells[name]["connections"].get(port, ()):
                if bit in driver and cells[driver[bit]]["type"] in ("LUT4", *JOINED):
                    parent[root(name)] = root(driver[bit])
    return {name: root(name) for name in names}


def _place(site: str) -> tuple[int, int]:
    found = re.match(r"X(\d+)/Y(\d+)/", site)
    assert found is not None, site
    return int(found[1]), int(found[2])


def _sites(tool: tuple[str, ...], device: tuple[str, ...], folder: Path, say: Progress) -> Sites:
    """Ask nextpnr for all sites: how many there are, then where as many cells stand."""
    one = _run(tool, device, dict.fromkeys(MACROS, 1), folder, say)[1]
    counts = {kind: one["utilization"][kind]["available"] for kind in MACROS}
    placed = _run(tool, device, counts, folder, say)[0]
    sites: Sites = {kind: [] for kind in MACROS}
    for cell in placed["modules"]["top"]["cells"].values():
        if cell["type"] in sites:
            sites[cell["type"]].append(cell["attributes"]["NEXTPNR_BEL"])
    return {
        kind: sorted(names, key=lambda site: (*_place(site), site)) for kind, names in sites.items()
    }


def _run(
    tool: tuple[str, ...],
    device: tuple[str, ...],
    counts: dict[str, int],
    folder: Path,
    say: Progress,
) -> tuple[Json, Json]:
    """Place macros that nothing is connected to; return the design and the report."""
    empty: Json = {"parameters": {}, "attributes": {}, "port_directions": {}, "connections": {}}
    cells = {f"{kind}{k}": {"type": kind, **empty} for kind in counts for k in range(counts[kind])}
    top = {"attributes": {"top": "1"}, "ports": {}, "cells": cells, "netnames": {}}
    (folder / "sites.json").write_text(json.dumps({"modules": {"top": top}}))
    files = ("--json", "sites.json", "--write", "placed.json", "--report", "sites-report.json")
    options = ("--out-of-context", "--no-route", "--placer", "heap", "--timing-allow-fail")
    run_all([Command("nextpnr", (*tool, *device, *files, *options), "sites")], folder, say)
    found = [(folder / name).read_text() for name in ("placed.json", "sites-report.json")]
    return json.loads(found[0]), json.loads(found[1])
