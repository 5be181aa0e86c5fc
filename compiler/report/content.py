"""What the compiler found and did, as plain JSON; every table and picture is drawn from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.design import Design
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.learning.spec import Points
from vle.compiler.planning.boards import Board
from vle.compiler.planning.resources import Resources, fit, resources
from vle.compiler.quantization.bounds import rate_errors
from vle.compiler.quantization.calibration import Calibration
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.intervals import Interval, WorstCase, worst_case
from vle.compiler.quantization.learning import LearningOptions
from vle.compiler.quantization.proof import AccumulatorProof
from vle.compiler.quantization.quantize import Quantized
from vle.compiler.quantization.ranges import Range, count_exponents, signals

Float = NDArray[np.float64]
VERSION = 1
COMPARED = 32  # sequences on which float and integers are laid over each other
SHARED = ("frames", "sums", "output", "targets", "counts", "probes")  # memories of no engine
SHOWN_STEPS, SHOWN_OUTPUTS = 400, 3


@dataclass(frozen=True)
class Facts:
    """What the passes know beside the design itself."""

    known: Calibration
    quantized: Quantized
    proofs: tuple[AccumulatorProof, ...]
    widths: Widths
    board: Board | None
    notes: tuple[str, ...]
    learning: LearningOptions | None = None


def build_report(design: Design, facts: Facts) -> dict[str, Any]:
    """Assemble the report; see docs/bundle.md for its fields."""
    chip, need = design.chip, resources(design.chip)
    comparison = compare(design, facts.known.x)
    measured = [
        {"saturation": count._asdict(), "error_max": error}
        for count, error in zip(design.saturation, comparison.pop("layer_error_max"), strict=True)
    ]
    return {
        "version": VERSION,
        "cycles_per_step": _number(design.cycles_per_step),
        "latency_steps": design.latency_steps,
        "latency_cycles": timing.latency(chip),
        "lanes": design.folding.lanes,
        "multipliers": need.multipliers,
        "memory_bits": need.memory_bits,
        "engines": _engines(design, need),
        "layers": _layers(design, facts, measured),
        "streams": {
            "input_words": design.network.layers[0].inputs,
            "output_words": design.network.layers[-1].outputs,
        },
        "input": _input(design, facts),
        "calibration": {
            "source": facts.known.source,
            "sequences": int(facts.known.x.shape[1]),
            "steps": int(facts.known.x.shape[0]),
            **comparison,
        },
        "board": _board(design, facts.board),
        "timing": None,  # comes with a bitstream: see `vle.compiler.bundle.files.contents`
        "learning": _learning(design, facts.learning),
        "widths": asdict(facts.widths),
        "sensitivity": None,  # both of what came before: see `vle.compiler.search.choose`
        "search": None,
        "memories": [
            {"kind": kind, "owner": owner, "width": width, "depth": depth, "banks": banks}
            for kind, owner, width, depth, banks, *_ in need.memories
        ],
        "notes": [*facts.notes, *_saturated(design)],
    }


def _saturated(design: Design) -> list[str]:
    """Say what was clamped on the calibration data."""
    said = [
        f"{spec.name}: {sum(count)} words saturate on the calibration data "
        f"({', '.join(f'{kind} {n}' for kind, n in count._asdict().items() if n)})"
        for spec, count in zip(design.network.layers, design.saturation, strict=True)
        if any(count)
    ]
    clamped = design.input_saturation
    return said + [f"{clamped} inputs of the calibration data saturate"] * (clamped > 0)


def _engines(design: Design, need: Resources) -> list[dict[str, Any]]:
    cycles = timing.breakdown(design.chip).engines
    return [
        {
            "pe": engine.pe,
            "simd": engine.simd,
            "lanes": engine.lanes,
            "layers": [piece.layer for piece in engine.passes],
            "folds": [piece.fold for piece in engine.passes],
            "synapse_cycles": spent.synapses,
            "neuron_cycles": spent.neurons,
            "stall_cycles": _number(spent.stalls),
            "weight_depth": engine.fold,
            "memory_bits": sum(
                width * depth * banks
                for kind, owner, width, depth, banks, *_ in need.memories
                if owner == engine.index and kind not in SHARED
            ),
            "useful_lanes": sum(piece.spec.weight.size for piece in engine.passes)
            / (engine.fold * engine.lanes),
        }
        for engine, spent in zip(design.chip.engines, cycles, strict=True)
    ]


def _layers(design: Design, facts: Facts, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known, quantized = facts.known, facts.quantized
    errors = rate_errors(design.reference, design.network, quantized.approximations, known.ranges)
    worst = worst_case(design.network, _stated(design, known), aligned=design.reference.aligned)
    found = []
    for index, (layer, spec) in enumerate(
        zip(design.reference.layers, design.network.layers, strict=True)
    ):
        engine, place = design.chip.engine_of(index)
        proof, seen, error = facts.proofs[index], known.ranges[index], errors[index]
        weights: dict[int, int] = {}
        count_exponents(layer.weight, weights)
        if layer.recurrent is not None:
            count_exponents(layer.recurrent, weights)
        exponents = {"weight": weights, **known.exponents[index]}
        found.append(
            {
                "name": spec.name,
                "inputs": spec.inputs,
                "outputs": spec.outputs,
                "recurrent": spec.recurrent,
                "activation": layer.activation.name,
                "engine": engine.index,
                "fold": engine.passes[place].fold,
                "formats": {
                    "x": _format(spec.x_format),
                    "u": _format(spec.u_format),
                    "rate": _format(spec.rate_format),
                    "weight_width": spec.weight_width,
                },
                "ranges": {
                    "weight": [float(layer.weight.min()), float(layer.weight.max())],
                    "current": _span(seen.current),
                    "u": _span(seen.u),
                    "prosp": _span(seen.prosp),
                    "rate": _span(seen.r),
                },
                "worst_case": _worst_case(spec, worst[index]),
                "weight_steps": _weight_steps(design, index),
                "exponents": {
                    kind: {str(e): n for e, n in sorted(counts.items())}
                    for kind, counts in exponents.items()
                },
                **measured[index],
                "error_bound": None if error is None else float(error.max()),
                "proof": {
                    "width": proof.width,
                    "bound": int(proof.bounds.max()),
                    "slack_bits": proof.slack,
                    "reached": None if proof.reached is None else int(proof.reached.max()),
                },
            }
        )
    return found


def _stated(design: Design, known: Calibration) -> Interval | None:
    """Input words of the stated range; None where all that the format holds may come."""
    if known.inputs is None:
        return None
    return Interval(*(design.input_format.quantize(end) for end in known.inputs))


def _worst_case(spec: LayerSpec, worst: WorstCase) -> dict[str, list[float]]:
    """Return ends that no signal can pass, in real units; sums as integers."""
    u, rate = spec.u_format.step, spec.rate_format.step
    rows = {
        "current": (worst.wide_current, u),
        "prosp": (worst.wide_prosp, u),
        "u": (worst.u, u),
        "rate": (worst.rate, rate),
    }
    ends = {
        kind: [float(words.low.min() * step), float(words.high.max() * step)]
        for kind, (words, step) in rows.items()
    }
    return ends | {"sum": [int(worst.acc.low.min()), int(worst.acc.high.max())]}


def _weight_steps(design: Design, index: int) -> list[float]:
    """Smallest and largest distance between neighbouring weights of a neuron, in real units."""
    spec = design.network.layers[index]
    step = np.ldexp(spec.scale.astype(float), -spec.scale_shift)
    step = np.ldexp(step, spec.x_format.f_bits - spec.u_format.f_bits)
    return [float(step.min()), float(step.max())]


def _input(design: Design, facts: Facts) -> dict[str, Any]:
    fmt, seen = design.input_format, facts.known.ranges[0].x
    counts: dict[int, int] = {}
    count_exponents(facts.known.x[::8], counts)
    return {
        "format": _format(fmt),
        "range": _span(seen),
        "saturation": design.input_saturation,
        "exponents": {str(e): n for e, n in sorted(counts.items())},
    }


def _learning(design: Design, options: LearningOptions | None) -> dict[str, Any] | None:
    """How the chip learns, and what that costs in clocks."""
    net = design.chip.learning
    if net is None:
        return None
    assert options is not None
    points = [Points.of(*pair) for pair in zip(net.network.layers, net.learning, strict=True)]
    return {
        "options": asdict(options),
        "loss": net.loss,
        "cycles_per_step_without": _number(
            timing.steady_cycles(ChipSpec(design.network, design.folding))
        ),
        "layers": [
            {
                "plasticity": learning.plasticity,
                "error_recurrence": learning.loop,
                "time_constants": learning.time_constants,
                "traces": learning.groups,
                "weight_limit": float(np.ldexp(1.0, layer.weight_width - 1 - point.weight)),
                "weight_step": float(np.ldexp(1.0, -point.weight)),
            }
            for layer, learning, point in zip(net.network.layers, net.learning, points, strict=True)
        ],
    }


def _board(design: Design, board: Board | None) -> dict[str, Any] | None:
    if board is None:
        return None
    return {**asdict(board), "needed": asdict(fit(design.chip, board))}


def compare(design: Design, x: Float) -> dict[str, Any]:
    """Lay the integer model over the float network on calibration data.

    Returns
    -------
    Errors of the outputs over `COMPARED` sequences, whether the largest output (summed over a
    sequence) is the same, the largest error of any rate per layer, and a stretch of the sequence
    with the largest error to look at.
    """
    x = x[:, np.linspace(0, x.shape[1] - 1, min(COMPARED, x.shape[1])).astype(int)]
    trace = design.run(x, trace=True)
    late = len(trace.r[0]) - len(x)
    steps = signals(design.reference, np.concatenate([x, np.zeros((late, *x.shape[1:]))]))
    largest, outputs = [0.0] * len(trace.r), []
    for t, step in enumerate(steps):
        for layer, s in enumerate(step):
            largest[layer] = max(largest[layer], float(np.abs(trace.r[layer][t] - s.r).max()))
        outputs.append(step[-1].r)
    return {
        "compared": int(x.shape[1]),
        **_errors(np.stack(outputs[late:]), trace.output),
        "layer_error_max": largest,
    }


def _errors(real: Float, fixed: Float) -> dict[str, Any]:
    off = fixed - real
    worst = int(np.abs(off).max(axis=(0, 2)).argmax())
    power = np.mean(real[:, worst] ** 2, axis=0)
    shown = np.sort(np.argsort(-power, kind="stable")[:SHOWN_OUTPUTS])
    same = np.mean(real.sum(axis=0).argmax(axis=-1) == fixed.sum(axis=0).argmax(axis=-1))
    return {
        "output_rms": float(np.sqrt(np.mean(real**2))),
        "error_rms": float(np.sqrt(np.mean(off**2))),
        "error_max": float(np.abs(off).max()),
        "same_argmax": float(same),
        "rms_per_step": _rounded(np.sqrt(np.mean(off**2, axis=(1, 2)))[:SHOWN_STEPS]),
        "shown": {
            "outputs": shown.tolist(),
            "float": [_rounded(real[:SHOWN_STEPS, worst, o]) for o in shown],
            "fixed": [_rounded(fixed[:SHOWN_STEPS, worst, o]) for o in shown],
        },
    }


def _rounded(values: Float) -> list[float]:
    return [float(f"{v:.5g}") for v in values]


def _format(fmt: Fixed) -> dict[str, int]:
    return {"i_bits": fmt.i_bits, "f_bits": fmt.f_bits}


def _span(values: Range) -> list[float]:
    return [float(values.low.min()), float(values.high.max())]


def _number(value: Fraction | int) -> int | float:
    exact = Fraction(value)
    return exact.numerator if exact.denominator == 1 else float(exact)
