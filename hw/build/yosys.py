"""A program that runs a script of Yosys: `python -m vle.hw.build.yosys SCRIPT`."""

from __future__ import annotations

import sys
from pathlib import Path


def main(script: Path) -> None:
    """Run its commands, one a line, on one design."""
    from pyosys import libyosys  # noqa: PLC0415 - megabytes, and only here

    design = libyosys.Design()
    for line in script.read_text().splitlines():
        command = line.strip()
        if command and not command.startswith("#"):
            libyosys.run_pass(command, design)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
