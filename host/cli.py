"""`vle-run`: a signal through a device, from the shell."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vle.command import leave
from vle.errors import TransportError
from vle.host.device import Device
from vle.host.files import write_whole
from vle.host.open import open_device
from vle.host.programming import program

FILE = click.Path(path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("bundle", type=FILE)
@click.argument("data", type=FILE)
@click.option("-o", "--output", type=FILE, help="write the answers here, as .npy")
@click.option(
    "--device",
    "address",
    metavar="ADDRESS",
    help="serial:PORT[?baud=N], spi:PATH[?hz=N], sim:DIR or axi:DIR  [default: sim:BUNDLE]",
)
@click.option("--baud", type=int, help="of a serial device, unless the bundle says it")
@click.option("--program", "load", is_flag=True, help="load the bitstream into the board before")
@click.option(
    "--aligned/--as-it-comes",
    default=None,
    help="each frame's own answer, or what is said in its step  [default: as the network says]",
)
@click.option("--json", "as_json", is_flag=True, help="figures as JSON on the standard output")
@click.option("-q", "--quiet", is_flag=True, help="nothing but errors")
def command(
    *,
    bundle: Path,
    data: Path,
    output: Path | None,
    address: str | None,
    baud: int | None,
    load: bool,
    aligned: bool | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run DATA, a .npy of shape (T, inputs) or (T, batch, inputs), through the design in BUNDLE."""
    x, address = _array(data), _address(bundle, address, baud)
    watched = Console(stderr=True, quiet=quiet)
    if output is not None and not output.resolve().parent.is_dir():
        raise ValueError(f"{output}: its folder must be there")
    if output is not None and output.exists() and not output.is_file():
        raise ValueError(f"{output}: OUT must be a file, or nothing yet")
    if load:
        with _bar(watched, "programming", 1.0) as bar:
            program(bundle, progress=bar.reach)
    with _opened(bundle, address, watched) as device:
        steps, begin = int(np.prod(x.shape[:-1])), time.monotonic()
        with _bar(watched, "running", steps) as bar:
            y = device.run(x, aligned=aligned, progress=bar.advance)
        facts = _facts(device, address, steps, time.monotonic() - begin)
    if output is not None:
        answers = io.BytesIO()
        np.save(answers, y)
        write_whole(output, answers.getvalue())
        facts["output"] = str(output)
    if as_json:
        click.echo(json.dumps(facts))
    elif not quiet:
        for name, value in facts.items():
            click.echo(f"{name.replace('_', ' '):24}{value}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and leave as all of ours do."""
    leave(command, "vle-run", arguments)


def _address(bundle: Path, address: str | None, baud: int | None) -> str:
    if baud is None:
        return address or f"sim:{bundle}"
    if address is None or not address.startswith("serial:") or "?" in address:
        raise ValueError("--baud must go with --device serial:PORT")
    return f"{address}?baud={baud}"


def _array(path: Path) -> NDArray[Any]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: DATA must be an array saved by numpy.save") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
        raise ValueError(f"{path}: DATA must be one array of numbers")
    if found.ndim not in (2, 3):
        raise ValueError(f"{path}: DATA must be of shape (T, inputs) or (T, batch, inputs)")
    return found


@contextlib.contextmanager
def _opened(bundle: Path, address: str, watched: Console) -> Iterator[Device]:
    """Open the device of a bundle."""
    simulated = address.startswith(("sim:", "axi:"))
    working = "building the Verilog with Verilator (kept for next time)" if simulated else "opening"
    status = watched.status(working) if watched.is_terminal else contextlib.nullcontext()
    with status:
        device = open_device(address, bundle=None if simulated else bundle)
    with device:
        if device.bundle.folder.resolve() != bundle.resolve():
            raise TransportError(f"{address} must be that of {bundle}")
        yield device


class _Bar(NamedTuple):
    """A bar that goes on by some, or to some place."""

    advance: Callable[[float], None]
    reach: Callable[[float], None]


@contextlib.contextmanager
def _bar(watched: Console, what: str, total: float) -> Iterator[_Bar]:
    """Show how much is done, where somebody watches."""
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    shown = watched.is_terminal and not watched.quiet
    with Progress(
        *columns, TimeRemainingColumn(), console=watched, transient=True, disable=not shown
    ) as progress:
        task = progress.add_task(what, total=total)
        yield _Bar(
            lambda more: progress.advance(task, more),
            lambda place: progress.update(task, completed=place),
        )


def _facts(device: Device, address: str, steps: int, seconds: float) -> dict[str, Any]:
    return {
        "device": address,
        "design": f"0x{device.bundle.map.hash:08x}",
        "steps": steps,
        "seconds": round(seconds, 3),
        "steps_per_second": round(steps / max(seconds, 1e-9), 1),
        "inputs_clamped": device.input_saturation,
        "words_clamped": int(device.saturation().sum()),
    }


if __name__ == "__main__":
    main()
