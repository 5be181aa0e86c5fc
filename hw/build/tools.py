"""Running the FPGA tools: several at once, logs kept where one fails, nothing left running."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vle.cache import cache_folder
from vle.errors import CompileError

Progress = Callable[[str], None]
POLL_S = 0.1
STAGES = {
    "Placed": "placing",
    "SA placement": "placing",
    "Routing": "routing",
    "routing": "routing",
}
FILLING = "Preparing to run"  # what a tool says that has to compile itself first


@dataclass(frozen=True)
class Command:
    """One run of a tool.

    Parameters
    ----------
    tool
        What to call it.
    arguments
        Program and arguments.
    label
        What it does, for those who watch and for the name of its log.
    """

    tool: str
    arguments: tuple[str, ...]
    label: str

    @property
    def log(self) -> str:
        """Name of its log."""
        return re.sub(r"\W+", "-", f"{self.tool} {self.label}") + ".log"


def program(variable: str, module: str, function: str = "") -> tuple[str, ...]:
    """Return how to start a tool: as an environment variable says, or from a Python package."""
    if os.environ.get(variable):
        return tuple(shlex.split(os.environ[variable]))
    if not function:
        return (sys.executable, "-m", module)
    text = f"import sys; from {module} import {function} as run; sys.exit(run(sys.argv[1:]))"
    return (sys.executable, "-c", text)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(commands: Sequence[Command], folder: Path, say: Progress) -> None:
    """Run commands in a folder, as many at once as there are cores; all end, whatever happens.

    Raises
    ------
    CompileError
        Where one fails: the tool, its log, and the cause.
    """
    waiting, running = list(commands), dict[subprocess.Popen[bytes], Command]()
    begun, shown = time.monotonic(), ""
    try:
        while waiting or running:
            while waiting and len(running) < cores():
                command = waiting.pop(0)
                running[_start(command, folder)] = command
            for process in [p for p in running if p.poll() is not None]:
                _ended(running.pop(process), process.returncode, folder)
            text = ", ".join(_shown(command, folder) for command in running.values())
            text += f", {len(waiting)} more to come" if waiting else ""
            text += f", {time.monotonic() - begun:.0f} s"
            if running and text != shown:
                say(text)
                shown = text
            time.sleep(POLL_S)
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def _start(command: Command, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / command.log).open("wb") as log:
        return subprocess.Popen(
            command.arguments,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        )


def _ended(command: Command, code: int, folder: Path) -> None:
    """Go on where a tool has succeeded; else keep its log and say why it failed."""
    if code == 0:
        return
    log = folder / command.log
    kept = cache_folder() / "logs" / command.log
    with contextlib.suppress(OSError):  # as on a full disk: the cause below is what counts
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, kept)
    raise CompileError(f"{command.tool} failed: {_cause(log, code)}; its log: {kept}")


def _cause(log: Path, code: int) -> str:
    """Return the line of a log that says most about a failure."""
    full = _overfull(log.read_text(errors="replace"))
    if full:
        return f"the circuit does not fit, it takes {full}"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    said = [line for line in lines if re.search(r"\b(error|no space left)\b", line, re.IGNORECASE)]
    said = [line for line in said if not re.search(r"\b\d+ errors?\b", line)] or said
    if code < 0:
        return f"ended by signal {-code}"
    text = (said or [line for line in lines if line] or [f"exit code {code}"])[-1]
    return re.sub(r"^\W*error\W*", "", text, flags=re.IGNORECASE)


def _overfull(text: str) -> str:
    """Cells that a device has too few of, as place and route lists them."""
    counts = re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", text, re.MULTILINE)
    over = {kind: (used, has) for kind, used, has in counts if int(used) > int(has) > 0}
    return ", ".join(f"{used} {kind} of {has}" for kind, (used, has) in over.items())


def _shown(command: Command, folder: Path) -> str:
    """Say what a command does, and where it is, as far as its log tells."""
    text = f"{command.tool} {command.label}"
    log = folder / command.log
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            tail = file.read().decode(errors="replace")
    except OSError:
        return text
    if FILLING in tail:
        return f"{text} (its first run here: compiles itself, once)"
    stages = [stage for word, stage in STAGES.items() if word in tail]
    return f"{text} ({stages[-1]})" if stages else text
