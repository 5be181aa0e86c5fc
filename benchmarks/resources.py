"""What the plan says a chip takes, laid over what synthesis counts."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from vle.compiler import LearningOptions, compile_model
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.planning import logic
from vle.compiler.planning.boards import BOARDS, Board
from vle.compiler.planning.choices import choose
from vle.compiler.planning.mapping import family_named
from vle.compiler.planning.resources import fit
from vle.hw.synthesis import cells, counted
from vle.sim import Layer, Network

mpl.use("Agg")
from matplotlib import pyplot as plt

WITHIN = 0.25  # asked of look-up tables; of everything else: the very number
DRAWN = 0.03  # weight of the shares that there are, against a relative error of a chip
BOARD_OF = {"ecp5": "ulx3s-85f", "ice40": "icebreaker", "gowin": "tang-nano-20k"}
Engines = tuple[tuple[int, int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Case:
    """A network of random weights on stated engines, each `(pe, simd, layers)`.

    `held`: nothing was fitted to it. `families`: those that it is synthesised for.
    """

    name: str
    sizes: tuple[int, ...]
    engines: Engines
    activation: str = "relu"
    weight_bits: int = 8
    recurrent: tuple[int, ...] = ()
    rule: str | None = None  # of learning; None: it does not learn
    learns_tau: bool = False
    loss: str = "squared_error"
    instantaneous: bool = False
    held: bool = False
    families: tuple[str, ...] = ("ecp5", "ice40", "gowin")


def one(pe: int, simd: int, layers: int) -> Engines:
    """All layers on one engine."""
    return ((pe, simd, tuple(range(layers))),)


def large(name: str, sizes: tuple[int, ...], engines: Engines, **more: Any) -> Case:
    """A chip that only ECP5 has room for."""
    return Case(name, sizes, engines, families=("ecp5",), **more)


def learns(name: str, sizes: tuple[int, ...], engines: Engines, **more: Any) -> Case:
    """A chip that learns."""
    settings = {"activation": "tanh", "rule": "prospective"} | more
    return large(name, sizes, engines, weight_bits=16, **settings)


TWO = ((2, 2, (0,)), (2, 2, (1,)))
THREE = ((1, 3, (0,)), (2, 2, (1,)), (1, 2, (2,)))
CASES = (
    Case("1 lane", (4, 6, 3), one(1, 1, 2)),
    Case("2 lanes, 4 bits", (8, 12, 4), one(1, 2, 2), weight_bits=4),
    Case("4 lanes, tanh", (12, 16, 8), one(2, 2, 2), "tanh"),
    Case("4 lanes, deep", (8, 10, 10, 10, 4), one(2, 2, 4)),
    Case("6 lanes, recurrent tanh", (10, 20, 5), one(2, 3, 2), "tanh", recurrent=(0,)),
    Case("6 lanes, one layer", (64, 20), one(1, 6, 1), "identity"),
    Case("8 lanes, 16 bits", (16, 24, 10), one(2, 4, 2), weight_bits=16),
    Case("8 lanes, softplus", (12, 24, 12), one(4, 2, 2), "softplus"),
    Case("8 lanes, leaky", (20, 30, 6), one(8, 1, 2), "leaky_relu"),
    large("2 engines of 4", (12, 20, 8), TWO, activation="tanh"),
    large("3 engines", (6, 12, 9, 4), THREE),
    large("12 lanes", (32, 48, 10), one(3, 4, 2), activation="tanh"),
    large("16 lanes, 4 bits", (40, 40, 8), one(4, 4, 2), weight_bits=4),
    large(
        "24 lanes, recurrent",
        (24, 40, 6),
        one(4, 6, 2),
        activation="tanh",
        weight_bits=16,
        recurrent=(0,),
    ),
    large("48 lanes", (40, 64, 10), one(6, 8, 2)),
    learns("learns, 1 lane", (3, 5, 2), one(1, 1, 2)),
    learns("learns, 4 lanes, relu", (6, 12, 4), one(2, 2, 2), activation="relu"),
    learns("learns, cross-entropy", (8, 12, 5), one(2, 3, 2), loss="cross_entropy"),
    learns("learns, recurrent", (5, 10, 4), one(2, 2, 2), recurrent=(0,)),
    learns("filtered, 4 lanes", (8, 10, 4), one(2, 2, 2), rule="filtered"),
    learns("filtered, 2 engines", (6, 9, 5), ((1, 3, (0,)), (2, 1, (1,))), rule="filtered"),
    learns("learns tau, 2 lanes", (4, 8, 3), one(1, 2, 2), learns_tau=True),
    learns("learns tau, filtered", (6, 4, 3), one(2, 2, 2), rule="filtered", learns_tau=True),
    learns("learns, 16 lanes", (24, 32, 8), one(4, 4, 2)),
    learns("learns, 32 lanes", (32, 48, 8), one(4, 8, 2)),
    Case("3 lanes, sigmoid", (9, 14, 7), one(1, 3, 2), "sigmoid", held=True),
    Case("5 lanes, 12 bits", (10, 16, 12, 8), one(5, 1, 3), weight_bits=12, held=True),
    Case("7 lanes, recurrent relu", (7, 21, 6), one(1, 7, 2), recurrent=(0,), held=True),
    large(
        "2 engines, recurrent",
        (14, 18, 10),
        ((2, 3, (0,)), (1, 2, (1,))),
        activation="tanh",
        recurrent=(1,),
        held=True,
    ),
    large("20 lanes", (30, 36, 12), one(4, 5, 2), activation="tanh", weight_bits=16, held=True),
    large("36 lanes, 3 layers", (36, 48, 24, 10), one(6, 6, 3), held=True),
    learns("learns, 3 layers", (8, 14, 10, 4), one(4, 2, 3), held=True),
    learns(
        "filtered, cross-entropy",
        (7, 13, 6),
        one(2, 3, 2),
        activation="relu",
        rule="filtered",
        loss="cross_entropy",
        held=True,
    ),
    learns(
        "learns tau, recurrent",
        (9, 3, 4),
        one(1, 3, 2),
        rule="filtered",
        learns_tau=True,
        recurrent=(0,),
        held=True,
    ),
)


def chip_of(case: Case) -> ChipSpec:
    """Compile the network and put it on its engines."""
    rng = np.random.default_rng(1)
    layers = []
    for index, (inputs, outputs) in enumerate(zip(case.sizes, case.sizes[1:], strict=False)):
        own = rng.normal(0, 0.5 / np.sqrt(outputs), (outputs, outputs))
        tau_m = (
            np.linspace(0.6, 1.2, outputs) if case.learns_tau else rng.choice([0.6, 1.2], outputs)
        )
        layers.append(
            Layer(
                weight=rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)),
                bias=rng.normal(0, 0.1, outputs),
                tau_m=tau_m,
                tau_r=tau_m if case.instantaneous else np.full(outputs, 0.2),
                activation="identity" if index + 2 == len(case.sizes) else case.activation,
                recurrent=own if index in case.recurrent else None,
            )
        )
    net = Network(tuple(layers), dt=0.2, plasticity=case.rule or "prospective", loss=case.loss)
    learning = LearningOptions(time_constants=case.learns_tau) if case.rule else False
    design = compile_model(
        net, input_range=(-1.0, 1.0), lanes=1, weight_bits=case.weight_bits, learning=learning
    )
    folding = Folding(tuple(EngineSpec(*engine) for engine in case.engines))
    return ChipSpec(design.chip.network, folding, design.chip.learning)


def measure(case: Case, board: Board) -> dict[str, Any]:
    """What is predicted of a case, what synthesis counts, and of which parts it is made."""
    chip = chip_of(case)
    need, found = fit(chip, board), counted(cells(chip, board), board.family)
    choices = choose(chip, board)
    return {
        "case": case.name,
        "family": board.family,
        "held": case.held,
        "predicted": {name: getattr(need, name)[0] for name in found},
        "counted": found,
        "parts": logic.parts(chip, family_named(board.family), choices),
    }


def error(row: dict[str, Any]) -> float:
    """Relative error of the look-up tables."""
    return float(row["predicted"]["luts"] / row["counted"]["luts"] - 1)


def verdict(row: dict[str, Any]) -> str | None:
    """What is wrong with a row."""
    for name, count in row["counted"].items():
        if name != "luts" and row["predicted"][name] != count:
            return f"MISSED: {count} {name}, not {row['predicted'][name]}"
    return None if abs(error(row)) <= WITHIN else f"MISSED: within {WITHIN:.0%}"


def fitted(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Shares that leave the smallest relative errors on the rows that are not held out.

    They are drawn to those that there are, as far as no chip tells them apart.
    """
    known = {name: luts for name, (luts, _) in logic.SHARES[rows[0]["family"]].items()}
    used = [row for row in rows if not row["held"]]
    names = sorted({name for row in used for name in row["parts"]})
    now = np.array([known.get(name, 1.0) for name in names])
    counts = np.array([row["counted"]["luts"] for row in used])
    parts = np.array([[row["parts"].get(name, 0.0) for name in names] for row in used])
    left = np.vstack([parts * now / counts[:, None], DRAWN * np.eye(len(names))])
    right = np.concatenate([np.ones(len(used)), np.full(len(names), DRAWN)])
    from scipy.optimize import lsq_linear  # noqa: PLC0415 - comes with the tests' libraries only

    change = lsq_linear(left, right, bounds=(0, np.inf)).x
    return known | {
        name: float(f"{value:.3g}") for name, value in zip(names, change * now, strict=True)
    }


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Predicted over counted look-up tables, and each error."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for family in dict.fromkeys(row["family"] for row in rows):
        for held, marker in ((False, "o"), (True, "^")):
            some = [row for row in rows if (row["family"], row["held"]) == (family, held)]
            counts = [row["counted"]["luts"] for row in some]
            label = f"{family}, {'held out' if held else 'fitted'}"
            left.plot(counts, [row["predicted"]["luts"] for row in some], marker, label=label)
            right.plot(counts, [100 * error(row) for row in some], marker, label=label)
    ends = left.get_xlim()
    left.plot(ends, ends, color="0.7", zorder=0)
    left.set(xlabel="look-up tables, synthesised", ylabel="predicted", xscale="log", yscale="log")
    for side in (-1, 1):
        right.axhline(side * 100 * WITHIN, color="0.7", linestyle="--")
    right.set(xlabel="look-up tables, synthesised", ylabel="error, %", xscale="log")
    left.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure all cases and write the numbers and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--family", action="append", choices=list(BOARD_OF))
    parser.add_argument("--fit", action="store_true", help="print shares fitted to the counts")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for family in options.family or BOARD_OF:
        mine = []
        for case in (case for case in CASES if family in case.families):
            mine.append(measure(case, BOARDS[BOARD_OF[family]]))
            print(line(mine[-1]), flush=True)
        if options.fit:
            print(json.dumps({family: fitted(mine)}, indent=4))
        rows += mine
    for held in (False, True):
        errors = [abs(error(row)) for row in rows if row["held"] == held]
        kind = "held out" if held else "fitted"
        print(f"{kind:9} {len(errors)} chips, error of luts: worst {max(errors):.1%}, "
              f"mean {np.mean(errors):.1%}")  # fmt: skip
    (options.out / "resources.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, options.out / "resources.png")
    sys.exit(any(map(verdict, rows)))


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    cells = "  ".join(f"{name} {row['predicted'][name]}/{n}" for name, n in row["counted"].items())
    held = "*" if row["held"] else " "
    return f"{row['family']:6}{held}{row['case']:34} {cells} {error(row):+.1%} {verdict(row) or ''}"


if __name__ == "__main__":
    main()
