"""Options of `vle-compile`, and what it does in which order."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vle.cache import remember_bundle
from vle.compiler.cli.bitstream import bitstream_options, build_bitstream, read_build
from vle.compiler.cli.goal import WidthList, goal_options, read_goal
from vle.compiler.cli.terminal import Terminal
from vle.compiler.planning.boards import BOARDS
from vle.compiler.planning.build import QUICK_LUTS
from vle.errors import CompileError, VleError

if TYPE_CHECKING:
    from vle.compiler import Design
    from vle.compiler.quantization.learning import LearningOptions

NAME = "vle-compile"
BAD_INPUT, BUG = 2, 1
PATH = click.Path(path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, help="Folder of the bundle. [build/NAME of the model]")
@click.option("--calibration", type=PATH, help="Recorded inputs as .npy or .npz: (T, [batch,] in).")
@click.option("--input-range", nargs=2, type=float, help="Lowest and highest input. [-1 1]")
@click.option("--board", help=f"Fill a board: {', '.join(BOARDS)}, or a .toml file.")
@click.option(
    "--lanes",
    type=int,
    help="Synapses worked on per clock. [what fits; with --bitstream what builds in minutes]",
)
@click.option(
    "--weight-bits", type=WidthList(), help="Bits of a weight, or those of each layer: 8,6,8. [16]"
)
@click.option("--rate-bits", type=int, default=16, show_default=True, help="Of inputs and rates.")
@click.option("--potential-bits", type=int, default=24, show_default=True, help="Of potentials.")
@goal_options
@click.option(
    "--sensitivity/--no-sensitivity",
    default=None,
    help="Say which layer hurts. [with calibration data]",
)
@click.option("--dt", type=float, help="Step of a NIR graph, in the unit of its time constants.")
@click.option("--like", type=PATH, help="Bundle whose formats, scales and engines to take over.")
@click.option("--verilog/--no-verilog", default=True, show_default=True, help="Write top.v too.")
@click.option("--learning", is_flag=True, help="A chip that learns while it runs.")
@click.option("--learn-tau", is_flag=True, help="Its time constants learn too.")
@click.option("--rate", type=float, help="Learning rate at power-up. [0.01]")
@click.option("--weight-range", type=float, help="How large its weights can grow. [4 x largest]")
@click.option("--seed", type=int, help="Of its stochastic rounding. [1]")
@bitstream_options
@click.option("-q", "--quiet", is_flag=True, help="Write nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
def command(*, quiet: bool, as_json: bool, verbose: bool, **options: Any) -> int:
    """Compile MODEL, an ONNX file or a NIR graph, to integers, a plan of the circuit, and Verilog.

    Writes a bundle: a folder with design.json, params.npz, top.v and a report. Bad input ends with
    one line that names the file, the node and the rule, exit code 2, and nothing written.
    """
    terminal = Terminal(quiet=quiet or as_json)
    with reported(verbose, NAME) as failed:
        report = _compile(terminal, **options)
        if as_json:
            click.echo(json.dumps(report, indent=1))
    return failed[0]


@contextmanager
def reported(verbose: bool, name: str) -> Iterator[list[int]]:
    """Turn an error into one line and an exit code."""
    code = [0]
    try:
        yield code
    except BrokenPipeError:
        raise
    except (VleError, OSError) as error:
        code[0] = BAD_INPUT
        _say(error, f"{name}: error: {error}", verbose)
    except Exception as error:
        code[0] = BUG
        hint = "" if verbose else " (a bug of vle; -v shows the traceback)"
        _say(error, f"{name}: error: {type(error).__name__}: {error}{hint}", verbose)


def _say(error: Exception, text: str, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error, file=sys.stderr)
    click.echo(" ".join(text.split()), err=True)


def _compile(
    terminal: Terminal,
    *,
    model: Path,
    output: Path | None,
    calibration: Path | None,
    verilog: bool,
    dt: float | None,
    **options: Any,
) -> dict[str, Any]:
    """Compile and write the bundle; return the report."""
    from vle.compiler.circuit.registers import register_map  # noqa: PLC0415 - see `_design`

    build = read_build(options)
    if build is not None and options["lanes"] is None:
        options["luts"] = QUICK_LUTS[build.board.chip.family]
    target = output or Path("build") / model.stem
    design = _design(terminal, model, calibration, options, dt)
    made = None if build is None else build_bitstream(terminal, design, build, target)
    with terminal.working("writing the bundle" + (" and its Verilog" if verilog else "")):
        design.save(target, verilog=verilog, bitstream=made)
    remember_bundle(register_map(design.chip).hash, target)
    report = {**design.report, "timing": None if made is None else made.timing}
    terminal.show(model, target, report)
    return report


def _learning(options: dict[str, Any]) -> LearningOptions | bool:
    """Take the options of learning out of all others, and put them together."""
    from vle.compiler.quantization.learning import LearningOptions  # noqa: PLC0415 - see `_design`

    names = {"rate": "rate", "weight_range": "weight_range", "seed": "seed"}
    given = {field: options.pop(name) for name, field in names.items()}
    chosen = {field: value for field, value in given.items() if value is not None}
    if options.pop("learn_tau"):
        chosen["time_constants"] = True
    if not options.pop("learning"):
        if chosen:
            raise CompileError("--learn-tau, --rate, --weight-range and --seed need --learning")
        return False
    try:
        return LearningOptions(**chosen)
    except ValueError as error:
        raise CompileError(str(error)) from error


def _design(
    terminal: Terminal,
    model: Path,
    calibration: Path | None,
    options: dict[str, Any],
    dt: float | None,
) -> Design:
    """Read the model and the data, and compile."""
    # Imported here, so that --help and a mistyped option answer at once.
    from vle.compiler import compile_model  # noqa: PLC0415
    from vle.compiler.cli.data import read_calibration  # noqa: PLC0415
    from vle.compiler.frontend import import_model  # noqa: PLC0415

    options["learning"] = _learning(options)
    options["goal"] = read_goal(options)
    if options["sensitivity"] is None:
        options["sensitivity"] = calibration is not None
    with terminal.working(f"reading {model}"):
        imported = import_model(model, dt=dt)
        data = None if calibration is None else read_calibration(calibration, imported.network)
    with terminal.working("choosing formats and folding") as say:
        return compile_model(imported, calibration=data, progress=say, **options)
