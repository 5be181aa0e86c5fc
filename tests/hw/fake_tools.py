"""Stands for every FPGA tool: what it is called with decides what it writes.

`FAKE_FMAX` has megahertz by seed, separated by commas; `FAKE_FAILS` the tool that fails,
`FAKE_HANGS` the one that never ends, after it has left its number in the folder `FAKE_PIDS`.
"""

import json
import os
import sys
import time
from pathlib import Path


def place(arguments):
    """Write what place and route would."""
    value = {name: arguments[at + 1] for at, name in enumerate(arguments) if name.startswith("--")}
    seed, freq = int(value["--seed"]), float(value["--freq"])
    fmax = float(os.environ["FAKE_FMAX"].split(",")[seed - 1])
    ends = {"from": "posedge clk", "to": "posedge clk"}
    parts = [
        {"delay": 1.0, "type": "clk-to-q", "from": {"cell": "a"}, "to": {"cell": "a"}},
        {"delay": 2.5, "type": "routing", "from": {"cell": "a"}, "to": {"cell": "b"}},
    ]
    cells = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D")
    report = {
        "fmax": {"clk": {"achieved": fmax, "constraint": freq}},
        "critical_paths": [{**ends, "path": parts}],
        "utilization": {cell: {"used": 10, "available": 100} for cell in cells},
    }
    Path(value["--report"]).write_text(json.dumps(report))
    Path(value["--textcfg"]).write_text(f"seed {seed} at {freq:g} MHz")


def main(tool, *arguments):
    if os.environ.get("FAKE_FAILS") == tool:
        print("Info: all was well")
        print("ERROR: a wire is missing, in earnest")
        sys.exit(1)
    if os.environ.get("FAKE_HANGS") == tool:
        Path(os.environ["FAKE_PIDS"], str(os.getpid())).touch()
        time.sleep(600)
    if tool == "place" and "--version" in arguments:
        print("nextpnr (Version nextpnr-9.9)")
    elif tool == "synth":
        Path("top.json").write_text('{"modules": {"top": {"cells": {}}}}')
    elif tool == "place":
        place(arguments)
    elif tool == "pack":
        placed = Path(arguments[arguments.index("--input") + 1])
        Path(arguments[arguments.index("--bit") + 1]).write_bytes(placed.read_bytes())


main(*sys.argv[1:])
