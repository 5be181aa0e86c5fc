"""Sites of multipliers and memories: none taken twice, short wires, and nextpnr takes them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.linalg import ArpackNoConvergence

from vle.hw.build import placement
from vle.hw.build.families import TOOLS
from vle.hw.build.floorplan import chosen, floorplan
from vle.hw.build.placement import Macros, Problem, place
from vle.hw.build.tools import Command, program, run_all

DEVICE = ("--25k", "--package", "CABGA381")


def test_a_macro_stands_where_its_cells_are():
    """Chains of cells between macros: neighbours in the chain take neighbouring sites."""
    macros, between = 8, 12
    cells = macros + (macros - 1) * between
    nets = []
    for k in range(macros - 1):
        first = macros + k * between
        chain = [k, *range(first, first + between), k + 1]
        nets += [np.array(sorted(pair)) for pair in itertools.pairwise(chain)]
    areas = np.array([0.0] * macros + [1.0] * (cells - macros))
    sites = np.array([[4.0 + 5 * k, 10.0] for k in range(10)])
    found = place(Problem(areas, nets, [Macros(np.arange(macros), sites)], (60, 20)))[0]
    assert len(set(found)) == macros
    apart = abs(np.diff(sites[found, 0]))
    rng = np.random.default_rng(0)
    others = [abs(np.diff(sites[rng.permutation(10)[:macros], 0])).sum() for _ in range(1000)]
    assert apart.sum() <= np.quantile(others, 0.01)


def netlist(count: int, kind: str = "MULT18X18D") -> dict:
    """Multipliers in a ring, a register between each two."""
    cells = {}
    for k in range(count):
        ports = {"A0": [2 * k + 2], "P0": [2 * k + 3]}
        cells[f"m{k}"] = _cell(kind, ports, {"A0": "input", "P0": "output"})
        ports = {"DI": [2 * k + 3], "Q": [2 * ((k + 1) % count) + 2]}
        cells[f"f{k}"] = _cell("TRELLIS_FF", ports, {"DI": "input", "Q": "output"})
    return cells


def _cell(kind: str, ports: dict, ways: dict) -> dict:
    cell = {"type": kind, "connections": ports, "port_directions": ways}
    return {"hide_name": 0, **cell, "parameters": {}, "attributes": {}}


def sites(count: int) -> dict[str, list[str]]:
    """Return sites of multipliers in two rows, and one of a block."""
    names = [f"X{4 + 9 * (k // 2)}/Y{13 + 24 * (k % 2)}/MULT18_0" for k in range(count)]
    return {"MULT18X18D": names, "DP16KD": ["X4/Y25/EBR0"]}


def test_the_same_in_every_run():
    cells = netlist(12)
    found = chosen(cells, sites(16))
    assert found == chosen(cells, sites(16))
    assert sorted(found) == sorted(f"m{k}" for k in range(12))
    assert len(set(found.values())) == 12


@pytest.mark.parametrize("count", [17, 2])
def test_left_to_nextpnr(count: int):
    """More macros than sites are its to refuse; few cells are placed well anyway."""
    assert chosen(netlist(count), sites(16)) == {}


def test_no_beginning_is_no_failure(monkeypatch):
    """A network whose slowest modes are not found is left to nextpnr."""

    def never(*args, **kwargs):
        raise ArpackNoConvergence("no", np.zeros(0), np.zeros((0, 0)))

    monkeypatch.setattr(placement, "eigsh", never)
    assert chosen(netlist(12), sites(16)) == {}


def test_nextpnr_takes_the_sites(tmp_path: Path):
    count = 20
    top = {"attributes": {"top": "1"}, "ports": {}, "cells": netlist(count), "netnames": {}}
    (tmp_path / "top.json").write_text(json.dumps({"modules": {"top": top}}))
    tool = program(*TOOLS["ecp5"].place)
    floorplan(tool, DEVICE, tmp_path, lambda text: None)
    given = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]["cells"]
    wanted = {name: cell["attributes"]["BEL"] for name, cell in given.items() if name[0] == "m"}
    assert len(set(wanted.values())) == count
    files = ("--json", "top.json", "--write", "out.json", "--out-of-context", "--no-route")
    run_all([Command("nextpnr", (*tool, *DEVICE, *files), "place")], tmp_path, lambda text: None)
    out = json.loads((tmp_path / "out.json").read_text())["modules"]["top"]["cells"]
    assert {name: out[name]["attributes"]["NEXTPNR_BEL"] for name in wanted} == wanted


def test_a_netlist_without_macros_stays_as_it_is(tmp_path: Path):
    cells = {name: cell for name, cell in netlist(4).items() if name[0] == "f"}
    text = json.dumps({"modules": {"top": {"cells": cells}}})
    (tmp_path / "top.json").write_text(text)
    floorplan(("no tool",), DEVICE, tmp_path, lambda text: None)
    assert (tmp_path / "top.json").read_text() == text
