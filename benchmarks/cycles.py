"""Cycles per step: what the plan says, what the Verilog takes, and what no schedule can beat."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from vle.compiler import compile_model
from vle.host.verilated import VerilatedChip
from vle.hw import verilog
from vle.sim import Activation, Layer, Network

mpl.use("Agg")
from matplotlib import pyplot as plt

STEPS = 60
RATIO = 1.10  # to the busiest engine, asked of layers of 32 x 32 and up where no stream binds
MODELS = Path(__file__).parents[1] / "examples" / "models"


@dataclass(frozen=True)
class Case:
    """A network of random weights; `most`: cycles per step that it may take, where stated."""

    name: str
    sizes: tuple[int, ...]
    lanes: int
    weight_bits: int = 16
    recurrent: tuple[int, ...] = ()
    most: int | None = None


CASES = (
    Case("MLP 40-64-64-10, 8 bits", (40, 64, 64, 10), 8, 8, most=1000),
    Case("MLP 40-64-64-10, 8 bits", (40, 64, 64, 10), 64, 8, most=140),
    Case("recurrent 40-100-2", (40, 100, 2), 48, recurrent=(0,), most=320),
    Case("1-53-53-53-53-53-53-10", (1, *(53,) * 6, 10), 12),
    Case("1-53-53-53-53-53-53-10", (1, *(53,) * 6, 10), 48),
    Case("1-53-53-53-53-53-53-10", (1, *(53,) * 6, 10), 100),
    Case("32-32-32", (32, 32, 32), 16),
    Case("32-32-32", (32, 32, 32), 64),
    Case("33-47-61-35", (33, 47, 61, 35), 24),
    Case("64-64-64-64", (64, 64, 64, 64), 32),
    Case("128-128-128", (128, 128, 128), 48),
)


def network(case: Case) -> Network:
    """Random weights of the usual size, tanh, one slow and one fast time constant per layer."""
    rng = np.random.default_rng(1)
    layers = []
    for index, (inputs, outputs) in enumerate(zip(case.sizes, case.sizes[1:], strict=False)):
        own = rng.normal(0, 0.5 / np.sqrt(outputs), (outputs, outputs))
        layers.append(
            Layer(
                weight=rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)),
                bias=rng.normal(0, 0.1, outputs),
                tau_m=rng.choice([0.2, 1.2], outputs),
                tau_r=np.full(outputs, 0.2),
                activation=Activation("tanh"),
                recurrent=own if index in case.recurrent else None,
            )
        )
    return Network(tuple(layers), dt=0.2)


def measure(case: Case) -> dict:
    """Compile, simulate at full throughput, count."""
    design = compile_model(
        network(case), input_range=(-1.0, 1.0), lanes=case.lanes, weight_bits=case.weight_bits
    )
    chip = design.chip
    bound = max(max(engine.fold, engine.neurons) for engine in chip.engines)
    with VerilatedChip(verilog.generate(chip)) as simulated:
        x = np.random.default_rng(2).uniform(-1, 1, (STEPS, case.sizes[0]))
        raw = design.input_format.quantize(x)
        outputs = simulated.exchange(raw, np.zeros(STEPS, bool), case.sizes[-1])
        ends = simulated.frame_cycles.astype(np.int64)
    assert np.array_equal(outputs, design.run_raw(raw).output), "words differ"
    measured = float(ends[-1] - ends[STEPS // 2]) / (STEPS - 1 - STEPS // 2)
    return {
        "network": case.name,
        "lanes": case.lanes,
        "lanes_used": chip.folding.lanes,
        "engines": [[e.pe, e.simd, list(e.layers)] for e in chip.folding.engines],
        "bound": bound,
        "planned": float(design.cycles_per_step),
        "measured": measured,
        "ratio": measured / bound,
        "at_most": asked(case, bound),
    }


def asked(case: Case, bound: int) -> float | None:
    """Cycles per step that the case may take, where that is stated."""
    large = min(case.sizes) >= 32 and max(case.sizes[0], case.sizes[-1]) <= bound
    limits = [case.most, RATIO * bound if large else None]
    return min((limit for limit in limits if limit is not None), default=None)


def verdict(row: dict) -> str | None:
    """What is wrong with a row."""
    if row["measured"] != row["planned"]:
        return "MISSED: not as planned"
    if row["at_most"] is not None and row["measured"] > row["at_most"]:
        return f"MISSED: at most {row['at_most']:g}"
    return None


def draw(rows: list[dict], path: Path) -> None:
    """Bound and measured cycles side by side."""
    figure, axis = plt.subplots(figsize=(9, 0.5 * len(rows) + 1), layout="constrained")
    places = np.arange(len(rows))
    axis.barh(places + 0.2, [row["bound"] for row in rows], 0.4, color="0.75", label="bound")
    axis.barh(places - 0.2, [row["measured"] for row in rows], 0.4, label="Verilog")
    for place, row in zip(places, rows, strict=True):
        axis.text(row["measured"], place - 0.2, f" {row['measured']:g}", va="center", fontsize=8)
    axis.set_yticks(places, [f"{row['network']}, {row['lanes']} lanes" for row in rows])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel("cycles per step")
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure all cases and write the numbers and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in CASES:
        rows.append(measure(case))
        row = rows[-1]
        print(
            f"{row['network']:28} {row['lanes']:4} lanes: {row['measured']:8g} cycles per step,"
            f" planned {row['planned']:8g}, bound {row['bound']:5}, ratio {row['ratio']:.3f},"
            f" asked {row['at_most'] or math.inf:6.1f}  {verdict(row) or ''}",
            flush=True,
        )
    (out / "cycles.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows, out / "cycles.png")
    sys.exit(any(map(verdict, rows)))


if __name__ == "__main__":
    main()
