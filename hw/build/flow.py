"""The whole way from a chip to a bitstream whose clock timing has met."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from amaranth.hdl import Elaboratable

from vle.compiler.bundle.bitstream import Bitstream
from vle.compiler.planning.boards import Description
from vle.compiler.planning.build import BuildOptions
from vle.compiler.planning.choices import Choices
from vle.compiler.planning.pll import Crystal, Pll, clock_below
from vle.errors import CompileError
from vle.hw.boards.platform import platform_of
from vle.hw.build import families
from vle.hw.build.fanout import put_repeaters
from vle.hw.build.timing import Run, read_run, timing_section
from vle.hw.build.tools import Command, Progress, program, run_all
from vle.hw.synthesis import PASSES

MARGIN = 0.98  # of the clock that a slower build aims at, from the one that was met
ATTEMPTS = 4
TOP = "top"
Circuit = Callable[[Crystal | Pll], Elaboratable]


def build(
    circuit: Circuit,
    options: BuildOptions,
    choices: Choices,
    predicted: dict[str, int],
    say: Progress,
) -> Bitstream:
    """Synthesise, place from several seeds, and pack the best.

    Where no seed meets the clock, the circuit is built again for one that the best has met: what
    counts clocks, as the UART does, depends on it.

    Parameters
    ----------
    circuit
        Makes the board's circuit for a clock.
    options
        For which board, and how.
    choices
        What the plan has chosen for the chip.
    predicted
        What the plan says of each kind of cell.
    say
        Called with what is at work, in words.

    Raises
    ------
    CompileError
        Where a tool is missing or fails, and for a clock that the board cannot make.
    """
    description, wanted = options.board, options.wanted_hz
    tools = families.TOOLS[description.chip.family]
    families.check_installed(description)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="vle-build-") as temporary:
        hz, seeds = wanted, list(range(1, options.seeds + 1)) if tools.timed else [1]
        for number in range(ATTEMPTS):
            source = clock_below(description.chip.family, description.clock.hz, hz)
            attempt = _Attempt(description, source, Path(temporary) / str(number), say)
            found = attempt.place(circuit(source), choices, seeds)
            runs += found
            best = max(found, key=lambda run: (run.fmax_hz or 0.0, -run.seed))
            if best.met:
                break
            hz, seeds = MARGIN * (best.fmax_hz or 0.0), _best_first(found)[:2]
        else:
            met = f"{(best.fmax_hz or 0.0) / 1e6:.4g} MHz"
            raise CompileError(f"no clock is met after {ATTEMPTS} builds; the last reaches {met}")
        data = attempt.pack(best.seed, keep=options.keep)
    return Bitstream(
        file=f"{description.name}{Path(tools.packed).suffix}",
        data=data,
        board=description.name,
        loader=description.loader,
        clock_hz=round(source.hz),
        link=options.link,
        baud=description.baud if options.link == "uart" else 0,
        weights_volatile=choices.huge,
        timing=timing_section(runs, best, wanted, predicted, attempt.version),
    )


def _best_first(runs: list[Run]) -> list[int]:
    ordered = sorted(runs, key=lambda run: (-(run.fmax_hz or 0.0), run.seed))
    return [run.seed for run in ordered]


class _Attempt:
    """A build for one clock, in a folder of its own."""

    def __init__(
        self, description: Description, source: Crystal | Pll, folder: Path, say: Progress
    ) -> None:
        self.description, self.hz, self.folder, self.say = description, source.hz, folder, say
        self.tools = families.TOOLS[description.chip.family]
        self.commands: list[list[str]] = []
        self.version = ""
        folder.mkdir()

    def place(self, top: Elaboratable, choices: Choices, seeds: list[int]) -> list[Run]:
        """Synthesise, then place and route from each seed."""
        self.say("generating the circuit")
        self._prepare(top, choices)
        self._synthesise()
        if self.tools.repeated:
            put_repeaters(self.folder / families.netlist(self.commands))
        if self.tools.floorplanned:
            from vle.hw.build.floorplan import floorplan  # noqa: PLC0415 - scipy is an extra's

            device = families.device_options(self.commands)
            floorplan(program(*self.tools.place), device, self.folder, self.say)
        hz = float(self.hz)
        commands = families.place_commands(self.description, self.commands, seeds, hz)
        run_all(commands, self.folder, self.say)
        texts = [(self.folder / families.report(seed)).read_text() for seed in seeds]
        return [
            read_run(seed, hz, text, self.tools) for seed, text in zip(seeds, texts, strict=True)
        ]

    def pack(self, seed: int, *, keep: bool) -> bytes:
        """Return the bitstream of a seed."""
        command = families.pack_command(self.description, self.commands, seed, keep=keep)
        run_all([command], self.folder, self.say)
        return (self.folder / self.tools.packed).read_bytes()

    def _prepare(self, top: Elaboratable, choices: Choices) -> None:
        """Write the files of Amaranth's build plan; keep the commands that it would run."""
        options = " ".join(PASSES[self.description.chip.family].split()[1:])
        plan = platform_of(self.description, choices).prepare(top, TOP, synth_opts=options)
        for name, content in plan.files.items():
            data = content.encode() if isinstance(content, str) else content
            (self.folder / name).write_bytes(data)
        self.commands = json.loads(plan.files[f"build_{TOP}.json"])["commands"]

    def _synthesise(self) -> None:
        """Run Yosys; beside it the first start of the next tool, which may compile itself."""
        script = families.script(self.commands)
        synthesis = Command("yosys", (*program("YOSYS", "vle.hw.build.yosys"), script), "synthesis")
        version = families.version_command(self.description)
        run_all([synthesis, version], self.folder, self.say)
        said = (self.folder / version.log).read_text().split("Version")[-1]
        found = re.search(r"nextpnr-([\w.+-]+)", said)
        self.version = f"nextpnr {found[1]}" if found else "nextpnr"
