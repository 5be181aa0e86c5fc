"""A design as a folder of files: written whole or not at all, and checked when read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vle.compiler.bundle.bitstream import Bitstream
from vle.compiler.bundle.header import c_header
from vle.compiler.bundle.manifest import FORMAT, Arrays, arrays, describe, rebuild
from vle.compiler.design import Design
from vle.compiler.learning.design import LearningDesign
from vle.compiler.learning.options import default_hold
from vle.errors import CompileError

MANIFEST = "design.json"


def save(
    design: Design,
    folder: str | os.PathLike[str],
    *,
    verilog: bool = False,
    bitstream: Bitstream | None = None,
) -> None:
    """Write a bundle; one that is there already is replaced when the new one is complete.

    Parameters
    ----------
    design
        What to write.
    folder
        Where to; a folder that is not a bundle, or holds files beside one, is never replaced.
    verilog
        Whether to generate `top.v`, `device.v` and `soc.v`. The compiler does not depend on the
        generator: it is imported here, by name, only where Verilog is asked for.
    bitstream
        What the FPGA tools made of it, to go into the bundle too.

    Raises
    ------
    CompileError
        If the folder cannot be written; nothing stays behind then.
    """
    with _replacing(Path(folder)) as temporary:
        for name, data in contents(design, verilog=verilog, bitstream=bitstream).items():
            (temporary / name).write_bytes(data)


def check_target(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder that `save` would not replace, before work that would be lost.

    Raises
    ------
    CompileError
        Naming the folder and the rule.
    """
    _refuse_others(Path(os.path.realpath(folder)))


def contents(
    design: Design, *, verilog: bool = False, bitstream: Bitstream | None = None
) -> dict[str, bytes]:
    """Return all files of a bundle; the same design always gives the same bytes."""
    from vle.compiler.report.page import html_page  # noqa: PLC0415 - imports jinja2

    manifest = describe(design.chip, design.reference)
    report = {**design.report, "timing": None if bitstream is None else bitstream.timing}
    files = {
        "params.npz": _npz(arrays(design.chip, design.reference)),
        "report.json": _json(report),
        "report.html": html_page(report).encode(),
        "vle_model.h": c_header(manifest, default_hold(design.reference)).encode(),
    }
    if verilog:
        from vle.hw import verilog as text  # noqa: PLC0415 - see `save`

        files["top.v"] = text.generate(design.chip).encode()
        files["device.v"] = text.generate_device(design.chip).encode()
        files["soc.v"] = text.generate_soc(design.chip).encode()
    if bitstream is not None:
        manifest["board"] = bitstream.manifest
        files[bitstream.file] = bitstream.data
    manifest["files"] = {name: _digest(data) for name, data in sorted(files.items())}
    manifest["sha256"] = _digest(_json(manifest))
    return {MANIFEST: _json(manifest), **files}


def load(folder: str | os.PathLike[str]) -> Design:
    """Read a bundle back.

    Raises
    ------
    CompileError
        If it is none, or if a file of it is missing or damaged, by name.
    """
    path = Path(folder)
    plain = _manifest(path / MANIFEST)
    files = {name: _checked(path / name, digest) for name, digest in plain["files"].items()}
    try:
        with np.load(io.BytesIO(files["params.npz"])) as archive:
            found = {name: archive[name] for name in archive.files}
        chip, reference = rebuild(plain, found)
        report = json.loads(files["report.json"])
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise CompileError(f"bundle must be complete: {error!r}", file=str(path)) from error
    make = Design if chip.learning is None else LearningDesign
    return make(reference, chip, report)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(_read(path))
        digest = plain.pop("sha256")
        sound = digest == _digest(_json(plain)) and isinstance(plain["files"], dict)
    except (ValueError, KeyError, AttributeError, TypeError):
        sound = False
    if not sound:
        raise CompileError("is damaged: it differs from its own hash", file=str(path))
    return dict(plain)


def _checked(path: Path, digest: str) -> bytes:
    data = _read(path)
    if _digest(data) != digest:
        raise CompileError("is damaged: it differs from its hash in design.json", file=str(path))
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CompileError("is missing from the bundle", file=str(path)) from None
    except OSError as error:
        raise CompileError(f"cannot be read: {error.strerror}", file=str(path)) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(plain: Any) -> bytes:
    return (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode()


def _npz(found: Arrays) -> bytes:
    """Arrays as NumPy writes them, but never with the time of writing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in found.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue())
    return buffer.getvalue()


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Fill a temporary folder beside the target, then put it in the target's place."""
    temporary: Path | None = None
    made: list[Path] = []
    try:
        target = Path(os.path.realpath(folder))
        _refuse_others(target)
        made = _make_parents(target)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield temporary
        temporary.chmod(0o755)
        _swap(temporary, target)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in reversed(made):
            parent.rmdir()
        if isinstance(error, OSError):
            raise CompileError(
                f"output folder cannot be written: {error.strerror or error}", file=str(folder)
            ) from error
        raise


def _refuse_others(target: Path) -> None:
    """Refuse to replace anything but a bundle: all that goes is what a compiler has written."""
    if target.exists() and not target.is_dir():
        raise CompileError("output must be a folder, not a file", file=str(target))
    if not target.is_dir() or not any(target.iterdir()):
        return
    rule = "output folder must be new, empty or a bundle"
    try:
        plain = _manifest(target / MANIFEST)
    except CompileError as error:
        raise CompileError(f"{rule}: its {MANIFEST} {error.message}", file=str(target)) from None
    if plain.get("format") != FORMAT:
        raise CompileError(f"{rule}: its {MANIFEST} is of another format", file=str(target))
    others = sorted(p.name for p in target.iterdir() if not _own(p, plain["files"]))
    if others:
        raise CompileError(f"{rule} and nothing else, but holds {others[0]}", file=str(target))


def _own(path: Path, files: dict[str, Any]) -> bool:
    """Whether an entry of a bundle's folder is a file that the compiler wrote."""
    known = path.name == MANIFEST or path.name in files
    return known and path.is_file() and not path.is_symlink()


def _make_parents(target: Path) -> list[Path]:
    """Make the folders above the target; return those that were not there."""
    missing = [parent for parent in reversed(target.parents) if not parent.exists()]
    made: list[Path] = []
    try:
        for parent in missing:
            parent.mkdir()
            made.append(parent)
    except OSError:
        for parent in reversed(made):
            parent.rmdir()
        raise
    return made


def _swap(new: Path, target: Path) -> None:
    """Put `new` in the target's place; the old one goes only after that."""
    if not target.exists():
        new.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        target.rename(old)
    except OSError:
        old.rmdir()
        raise
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
