"""The whole way from a model to a design, pass by pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.compiler.arguments import check_types
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.design import Design
from vle.compiler.fixed import Fixed
from vle.compiler.frontend import Imported
from vle.compiler.learning.design import LearningDesign
from vle.compiler.planning.boards import Board, board_named
from vle.compiler.planning.plan import DEFAULT_LANES, plan
from vle.compiler.planning.resources import fit
from vle.compiler.quantization.calibration import Calibration, calibrate, frames
from vle.compiler.quantization.choice import Choice
from vle.compiler.quantization.constants import constants_hold
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.given import Given
from vle.compiler.quantization.learning import LearningOptions, learning_network
from vle.compiler.quantization.overshoot import overshoot_notes
from vle.compiler.quantization.proof import prove
from vle.compiler.quantization.quantize import Quantized, quantize
from vle.compiler.quantization.recorded import Recorded, recorded
from vle.compiler.quantization.stability import error_notes
from vle.compiler.report.content import Facts, build_report
from vle.compiler.search.choose import Chosen, Wanted, choose
from vle.compiler.search.goal import Goal, checked_labels
from vle.compiler.search.judge import Judge
from vle.compiler.search.refine import BELOW
from vle.compiler.search.search import Progress
from vle.errors import CompileError
from vle.sim import Activation, Network

DEFAULT_BITS = (16, 16, 24)  # of weights, rates, potentials


def compile_model(
    model: str | os.PathLike[str] | Network | Imported,
    *,
    calibration: ArrayLike | None = None,
    input_range: tuple[ArrayLike, ArrayLike] | None = None,
    lanes: int | None = None,
    board: str | Board | None = None,
    luts: int | None = None,
    weight_bits: int | Sequence[int] | None = None,
    rate_bits: int = 16,
    potential_bits: int = 24,
    goal: Goal | None = None,
    sensitivity: bool = False,
    progress: Progress | None = None,
    like: str | os.PathLike[str] | Design | None = None,
    dt: float | None = None,
    learning: LearningOptions | bool = False,
) -> Design:
    """Compile a network: choose formats, round parameters, plan the engines, prove the sums.

    Parameters
    ----------
    model
        An ONNX file, a NIR graph, or a network.
    calibration
        Typical inputs, ``(T, inputs)`` or ``(T, batch, inputs)`` in real units. They decide ranges
        and roundings.
    input_range
        Lowest and highest input, numbers or one per channel. Without calibration data the ranges of
        all signals follow from it; without either, inputs are taken to be within -1..1.
    lanes
        Synapses worked on per clock, over all engines; by default
        `vle.compiler.planning.plan.DEFAULT_LANES`.
    board
        Name of a board in `vle.compiler.planning.boards`: as many lanes as it holds, or `lanes`
        of them.
    luts
        Look-up tables of the board to stay below, or else below twice as many, and so on; fewer
        build sooner.
    weight_bits
        Bits of a weight, 2..16, or those of each layer; by default 16.
    rate_bits, potential_bits
        Bits of inputs and rates (3..18), of potentials (8..32).
    goal
        How good or how small the network shall be, instead of `weight_bits`.
    sensitivity
        Whether the report says which layer hurts; where there is a goal, it always does. Left out
        where formats are taken over, and on a chip that learns.
    progress
        Called with what is being tried, in words.
    like
        A design, or its bundle, whose formats, scales and engines to take over: a network that was
        read back from a chip becomes the same integers again. Widths, lanes and board are its own.
    learning
        Whether the chip learns, or how. A file that was read back from a chip tells its formats;
        they are taken over unless other widths are asked for.
    dt
        Length of a step of a NIR graph; see `vle.compiler.frontend.import_model`.

    Raises
    ------
    TypeError
        For a model, lanes, a board or learning of another type.
    CompileError
        If the model cannot be read, quantised or fitted.
    """
    check_types(model=model, lanes=lanes, board=board, learning=learning, like=like)
    imported, file = _read(model, dt)
    network, notes = imported.network, imported.notes
    weight = _weight_bits(weight_bits, len(network.layers))
    wanted = Wanted(weight, goal, sensitivity, progress)
    asked = (*set(weight), rate_bits, potential_bits) != DEFAULT_BITS or goal is not None
    widths = _widths(weight=max(weight), rate=rate_bits, potential=potential_bits)
    target = board_named(board) if isinstance(board, str) else board
    planned = partial(plan, lanes=lanes, board=target, luts=luts)
    options = (LearningOptions() if learning else None) if isinstance(learning, bool) else learning
    asked |= options is not None and options.ranged
    pattern = Design.load(like) if isinstance(like, str | os.PathLike) else like
    _check_goal(goal, {"weight bits": weight_bits, "like": like, "learning": options}, target)
    try:
        if pattern is not None:
            if lanes is not None or target is not None:
                raise CompileError("lanes and board must not be given with like, whose are taken")
            return _compile_like(network, pattern, notes, (calibration, input_range), options)
        formats = None if file is None or asked else _recorded(file, network)
        if formats is not None:
            notes += ("formats are those that the file tells",)
            input_range = input_range or _ends(formats.layers[0].x_format)
        elif options is None and target is not None:
            whole = min(widths.constant, target.multiplier_width)  # that a multiplier takes whole
            if constants_hold(network, whole):
                widths = replace(widths, constant=whole)
        known = calibrate(network, calibration, input_range)
        moments = None if formats else known.moments
        given = Given(imported.grids, imported.inputs)
        chosen = Chosen(Choice(weight))
        if formats is None and options is None and (wanted.judged or rate_bits < BELOW):
            labelled = _labelled(network, calibration, goal)
            judge = Judge.of(network, known, widths, given, labelled)
            chosen = choose(wanted, judge, partial(planned, explain=False))
            widths = replace(widths, weight=max(chosen.choice.weight))
        quantized = quantize(
            network,
            known.ranges,
            widths,
            moments,
            like=formats,
            learning=options,
            given=given,
            choice=chosen.choice,
        )
        learns = learning_network(network, quantized.network, options)
        folding = planned(quantized.network, learning=learns)
    except CompileError as error:
        raise CompileError(error.message, file=error.file or file, node=error.node) from error
    chip = ChipSpec(quantized.network, folding, learns)
    if lanes is None:
        notes += _of_lanes(chip, target, luts)
    build = _Build(network, known, quantized, chip, options)
    design = build.design(widths, target, notes + chosen.notes)
    design.report.update(chosen.report)
    if imported.host:
        design.report["host"] = [asdict(step) for step in imported.host]
    return design


def _weight_bits(bits: int | Sequence[int] | None, layers: int) -> tuple[int, ...]:
    """Bits of a weight of each layer."""
    bits = DEFAULT_BITS[0] if bits is None else bits
    each = tuple(bits) if isinstance(bits, Sequence) else (bits,) * layers
    if len(each) != layers:
        raise CompileError(f"weight bits must be one number or {layers}, one per layer, not {bits}")
    for value in each:
        _widths(weight=value)
    return each


def _of_lanes(chip: ChipSpec, board: Board | None, luts: int | None) -> tuple[str, ...]:
    """Say how many lanes were chosen where none were asked for; not where a board decides."""
    if board is None:
        return (f"neither lanes nor a board: planned for {DEFAULT_LANES} lanes",)
    if luts is None or luts >= board.luts:
        return ()
    size = f"{chip.folding.lanes}, of {fit(chip, board).luts[0]} look-up tables"
    return (f"no lanes given: {size}, to be built soon",)


def _check_goal(goal: Goal | None, options: dict[str, Any], board: Board | None) -> None:
    """Refuse what contradicts a goal."""
    if goal is None:
        return
    for what, value in options.items():
        if value is not None:
            raise CompileError(
                f"{what} must not be given with a goal, which finds the weights' bits"
            )
    if goal.fit and board is None:
        raise CompileError("a goal to fit needs a board")


def _labelled(
    network: Network, data: ArrayLike | None, goal: Goal | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Calibration data with their labels, where the goal is an accuracy."""
    if goal is None or goal.labels is None:
        return None
    if data is None:
        raise CompileError("an accuracy needs calibration data, which the labels are of")
    x, shape = frames(network, data), np.shape(data)[:-1]
    return x, checked_labels(goal.labels, shape, network.layers[-1].outputs)


def _recorded(file: str, network: Network) -> Recorded | None:
    """Read the formats that an ONNX file tells of a network that was on a chip."""
    if not file.endswith(".onnx"):
        return None
    from vle.sim.onnx_format import read_metadata  # noqa: PLC0415 - only files need onnx

    return recorded(read_metadata(file), network)


def _ends(fmt: Fixed) -> tuple[ArrayLike, ArrayLike]:
    return fmt.real(fmt.low), fmt.real(fmt.high)


def _compile_like(
    network: Network,
    pattern: Design,
    notes: tuple[str, ...],
    inputs: tuple[ArrayLike | None, tuple[ArrayLike, ArrayLike] | None],
    options: LearningOptions | None,
) -> Design:
    """Take formats, scales and engines over; every parameter goes to the nearest word."""
    data, stated = inputs
    if data is None and stated is None:
        stated = _ends(pattern.input_format)
    known = calibrate(network, data, stated)
    _check_like(network, pattern.reference)
    widths = _widths(**pattern.report["widths"])
    quantized = quantize(network, known.ranges, widths, like=pattern.network, learning=options)
    learns = learning_network(network, quantized.network, options)
    chip = ChipSpec(quantized.network, pattern.folding, learns)
    build = _Build(network, known, quantized, chip, options)
    return build.design(widths, None, notes)


def _check_like(network: Network, pattern: Network) -> None:
    """Refuse a network of another structure: `like` takes over circuits, not only formats."""
    found, wanted = _structure(network), _structure(pattern)
    if found != wanted:
        raise CompileError(f"layers must be those of the design to be like: {wanted}, not {found}")


def _structure(network: Network) -> str:
    return ", ".join(
        f"{layer.inputs}-{layer.outputs} {_constants(layer.activation)}"
        + " recurrent" * (layer.recurrent is not None)
        for layer in network.layers
    )


def _constants(phi: Activation) -> str:
    given = [f"{value}" for value in (phi.alpha, phi.beta) if value is not None]
    return phi.name + f"({', '.join(given)})" * bool(given)


def _widths(**bits: Any) -> Widths:
    try:
        return Widths(**bits)
    except ValueError as error:
        raise CompileError(str(error)) from error


@dataclass(frozen=True)
class _Build:
    """What the passes have made."""

    network: Network
    known: Calibration
    quantized: Quantized
    chip: ChipSpec
    options: LearningOptions | None

    def design(self, widths: Widths, board: Board | None, notes: tuple[str, ...]) -> Design:
        make = Design if self.chip.learning is None else LearningDesign
        design = make(self.network, self.chip, {})
        proofs = prove(self.chip, self.known.inputs)
        notes += self.known.notes + self.quantized.notes + error_notes(self.network)
        if self.known.source == "intervals" and self.known.inputs is not None:
            notes += overshoot_notes(self.network, self.chip.network, self.known.inputs)
        facts = Facts(self.known, self.quantized, proofs, widths, board, notes, self.options)
        design.report.update(build_report(design, facts))
        if isinstance(design, LearningDesign):
            design.restart()  # as if it had not run the calibration data
        return design


def _read(
    model: str | os.PathLike[str] | Network | Imported, dt: float | None
) -> tuple[Imported, str | None]:
    """Return what a front end made of a model, and the file it came from."""
    if isinstance(model, str | os.PathLike):
        from vle.compiler.frontend import import_model  # noqa: PLC0415 - only files need onnx

        return import_model(model, dt=dt), str(Path(model))
    if dt is not None:
        raise CompileError("dt must be left out: the network has its own")
    imported = Imported(model) if isinstance(model, Network) else model
    return imported, imported.file
