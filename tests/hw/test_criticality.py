"""Which wires decide on the clock: sums by hand, and macros that come near where they must."""

from __future__ import annotations

import numpy as np
import pytest

from vle.hw.build import criticality
from vle.hw.build.criticality import CARRY, PER_TILE, SETUP, TO_REGISTER, WIRE, Timing
from vle.hw.build.placement import Macros, Problem, place


def cell(kind: str, inputs: dict[str, int], outputs: dict[str, int], **parameters: str) -> dict:
    ways = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    ports = {port: [bit] for port, bit in (inputs | outputs).items()}
    return {
        "type": kind,
        "connections": ports,
        "port_directions": ways,
        "parameters": parameters,
    }


def lengths(cells: dict[str, dict], where: dict[str, tuple[int, int]]) -> dict[tuple, float]:
    """Return the longest path over each wire, by the names of its ends."""
    names = list(cells)
    timing = Timing(cells, {name: k for k, name in enumerate(names)})
    found = timing.lengths(np.array([where[name] for name in names], float).T)
    ends = [(names[a], names[b]) for a, b in timing.ends.T]
    return dict(zip(ends, found, strict=True))


def test_a_path_is_what_its_cells_and_wires_take():
    cells = {
        "from": cell("TRELLIS_FF", {}, {"Q": 2}),
        "lut": cell("LUT4", {"A": 2}, {"Z": 3}),
        "low": cell("CCU2C", {"A0": 3}, {"COUT": 4}),
        "high": cell("CCU2C", {"CIN": 4}, {"S0": 5}),
        "to": cell("TRELLIS_FF", {"CE": 5}, {}),
        "aside": cell("TRELLIS_FF", {"DI": 3}, {}),
    }
    where = {"from": (0, 0), "lut": (10, 5), "low": (10, 6), "high": (11, 6)}
    where |= {"to": (20, 6), "aside": (10, 7)}
    found = lengths(cells, where)
    carried = WIRE * 4 + PER_TILE * (15 + 1 + 1 + 9) + criticality.THROUGH["LUT4"]
    whole = TO_REGISTER + carried + criticality.THROUGH["CCU2C"] + CARRY + SETUP
    for pair in (("from", "lut"), ("lut", "low"), ("low", "high"), ("high", "to")):
        assert found[pair] == pytest.approx(whole)
    short = TO_REGISTER + 2 * WIRE + PER_TILE * (15 + 2) + criticality.THROUGH["LUT4"]
    assert found["lut", "aside"] == pytest.approx(short)


def test_registers_inside_end_a_path():
    begin, end = {"Q": 2}, {"P0": 3}
    for settings, is_end in (({}, False), ({"REG_OUTPUT_CLK": "CLK0"}, True)):
        cells = {
            "from": cell("TRELLIS_FF", {}, begin),
            "product": cell("MULT18X18D", {"A0": 2}, end, **settings),
            "to": cell("TRELLIS_FF", {"DI": 3}, {}),
        }
        found = lengths(cells, dict.fromkeys(cells, (0, 0)))
        inside = criticality.WITHOUT["MULT18X18D"]
        before, behind = TO_REGISTER + WIRE + inside, criticality.REGISTERED["MULT18X18D"] + WIRE
        both = before + WIRE
        assert found["from", "product"] == pytest.approx(before if is_end else both)
        assert found["product", "to"] == pytest.approx(behind if is_end else both)


def test_a_word_is_written_at_the_end_of_a_path_and_read_on_one():
    cells = {
        "from": cell("TRELLIS_FF", {}, {"Q": 2}),
        "memory": cell("TRELLIS_DPR16X4", {"DI": 2, "RAD": 4}, {"DO": 3}),
        "lut": cell("LUT4", {"A": 3}, {"Z": 4}),
    }  # which reads, and so chooses what it reads next: a loop, which ends somewhere
    found = lengths(cells, dict.fromkeys(cells, (0, 0)))
    assert found["from", "memory"] == pytest.approx(TO_REGISTER + WIRE)
    assert np.isfinite(list(found.values())).all()


class _OnePath:
    """A path between two macros."""

    def __init__(self, one: int, other: int) -> None:
        self.ends = np.array([[one], [other]])

    def lengths(self, where: np.ndarray) -> np.ndarray:
        return abs(where[:, self.ends[0]] - where[:, self.ends[1]]).sum(0) + 1


def test_macros_of_the_longest_path_come_nearer():
    """A chain of macros, each pulled to its neighbours, and a path from its end to its begin."""
    count, between = 16, 10
    nets, cells = [], count
    for k in range(count - 1):
        chain = [k, *range(cells, cells + between), k + 1]
        nets += [np.sort(pair) for pair in np.array([chain[:-1], chain[1:]]).T]
        cells += between
    areas = np.array([0.0] * count + [1.0] * (cells - count))
    sites = np.array([[3.0 + 5 * (k % 10), 8.0 + 16 * (k // 10)] for k in range(20)])

    def apart(paths: _OnePath | None) -> float:
        found = place(Problem(areas, nets, [Macros(np.arange(count), sites)], (60, 40), 0.6, paths))
        return float(abs(np.diff(sites[found[0]][[0, -1]], axis=0)).sum())

    assert apart(_OnePath(0, count - 1)) < apart(None)
