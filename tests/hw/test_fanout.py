"""Repeaters: no net is wide afterwards, and each pin is still driven by what drove it."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from vle.hw.build.fanout import MOST, WIDEST, put_repeaters

RAM = 4  # look-up tables of a memory, which share its address


def cell(kind: str, inputs: dict[str, list], outputs: dict[str, list]) -> dict:
    ways = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {"type": kind, "connections": inputs | outputs, "port_directions": ways}


def cells(source: str, luts: int, rams: int = 0) -> dict[str, dict]:
    """One cell that drives inputs of others, each of which has a constant beside."""
    found = {"source": cell(source, {"I0": ["0"]}, {"F": [7]})}
    for k in range(luts):
        found[f"lut{k}"] = cell("LUT2", {"I0": ["1"], "I1": [7]}, {"F": [100 + k]})
    for k in range(rams):
        found[f"ram{k}"] = cell("RAM16SDP4", {"RAD": ["0", 7]}, {"DO": [200 + k]})
    found["mux"] = cell("MUX2_LUT5", {"I0": [100], "I1": ["x"], "S0": [7]}, {"O": [300]})
    return found


def repeated(given: dict[str, dict], path) -> dict[str, dict]:
    file = path / "top.json"
    file.write_text(json.dumps({"modules": {"top": {"cells": given}}}))
    put_repeaters(file)
    return json.loads(file.read_text())["modules"]["top"]["cells"]


def inputs(found: dict[str, dict]):
    for name, one in found.items():
        for port, bits in one["connections"].items():
            if one["port_directions"][port] == "input":
                yield from ((name, port, k, bit) for k, bit in enumerate(bits))


def source(found: dict[str, dict], net: int | str) -> int | str:
    """Go back through repeaters."""
    passed = {
        one["connections"]["F"][0]: one["connections"]["I0"][0]
        for name, one in found.items()
        if name.startswith("repeater")
    }
    while net in passed:
        net = passed[net]
    return net


@pytest.mark.parametrize(("luts", "rams"), [(10, 0), (25, 0), (49, 0), (8, 1), (4, 12)])
def test_no_wide_net_is_left(luts, rams, tmp_path):
    given = cells("DFF", luts, rams)
    found = repeated(given, tmp_path)
    weights = Counter()
    for name, _, _, net in inputs(found):
        weights[net] += RAM if found[name]["type"] == "RAM16SDP4" else 1
    assert max(weight for net, weight in weights.items() if isinstance(net, int)) <= MOST
    kept = [end for end in inputs(found) if not end[0].startswith("repeater")]
    assert [(*end[:3], source(found, end[3])) for end in kept] == list(inputs(given))
    drivers = [net for one in found.values() for net in one["connections"].get("F", ())]
    assert len(set(drivers)) == len(drivers)


@pytest.mark.parametrize(
    ("kind", "luts"), [("DFF", MOST - 1), ("DFF", WIDEST), ("IBUF", 20), ("rPLL", 20)]
)
def test_left_alone(kind, luts, tmp_path):
    """Narrow nets, very wide ones, and those that nextpnr routes as clocks."""
    given = cells(kind, luts)
    assert repeated(given, tmp_path) == given


def test_pins_with_wires_of_their_own_stay(tmp_path):
    """The data of a wide multiplexer and a carry come from the neighbour alone."""
    given = cells("LUT4", 12)
    given["wide"] = cell("MUX2_LUT5", {"I0": [7], "I1": [7], "S0": ["0"]}, {"O": [301]})
    given["sum"] = cell("ALU", {"CIN": [7], "I0": ["0"]}, {"SUM": [302]})
    found = repeated(given, tmp_path)
    assert len(found) > len(given)
    assert (found["wide"], found["sum"]) == (given["wide"], given["sum"])
