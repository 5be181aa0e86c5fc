"""The plan's cycles per step are the Verilog's, and near what no schedule can beat."""

from __future__ import annotations

import importlib.util
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import random_chips
from chip_in_simulation import ChipInSimulation

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding

STEPS = 40
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "cycles.py"

# sizes, recurrent layers, engines (pe, simd, layers)
LARGE = {
    "square": ([32, 32, 32], (), [(4, 4, (0, 1))]),
    "square apart": ([32, 32, 32], (), [(4, 4, (0,)), (8, 3, (1,))]),
    "mlp, 8 lanes": ([40, 64, 64, 10], (), [(4, 2, (0, 1, 2))]),
    "odd": ([33, 47, 35], (), [(5, 7, (1,)), (3, 4, (0,))]),
    "neurons bind": ([32, 60], (), [(15, 8, (0,))]),
    "deep": ([32, 40, 40, 40, 33], (), [(3, 5, (0, 2)), (5, 3, (1, 3))]),
}
SMALL = {
    "one of each": ([1, 1], (), [(1, 1, (0,))]),
    "tiny": ([2, 3, 2], (), [(2, 2, (0, 1))]),
    "wide frame": ([40, 3, 1], (), [(2, 20, (0,)), (1, 3, (1,))]),
    "recurrent": ([6, 20, 3], (0,), [(4, 3, (0,)), (1, 4, (1,))]),
    "shared and recurrent": ([3, 9, 7, 2], (1,), [(2, 3, (2, 0)), (3, 2, (1,))]),
}


def measured(name: str) -> tuple[ChipSpec, list[int], int]:
    """Cycles in which each frame was complete, counted from the first input word; the chip."""
    sizes, recurrent, engines = {**LARGE, **SMALL}[name]
    network = random_chips.network(np.random.default_rng(5), sizes, recurrent=recurrent)
    chip = ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))
    simulated = ChipInSimulation(chip)
    frames = random_chips.frames(np.random.default_rng(6), network, STEPS)
    _, taken = simulated.compare(frames)
    cycles = taken.cycles.astype(np.int64)[sizes[-1] - 1 :: sizes[-1]]
    begin = simulated.last_sent.cycles[0]
    simulated.close()
    return chip, (cycles - int(begin)).tolist(), STEPS


@pytest.mark.parametrize("name", [*LARGE, *SMALL])
def test_plan_is_exact(name):
    chip, cycles, steps = measured(name)
    assert cycles == timing.timing(chip).output_times(steps)
    bound = max(max(engine.fold, engine.neurons) for engine in chip.engines)
    steady = timing.steady_cycles(chip)
    print(f"{name}: {steady} cycles per step, bound {bound}, ratio {float(steady / bound):.3f}")
    if name in LARGE:
        assert Fraction(steady) <= Fraction(110, 100) * bound


def test_figures_that_are_asked():
    """An MLP of 8-bit weights on 8 and on 64 lanes, a recurrent network: as the benchmark says."""
    spec = importlib.util.spec_from_file_location("cycles", BENCHMARK)
    cycles = importlib.util.module_from_spec(spec)
    sys.modules["cycles"] = cycles
    spec.loader.exec_module(cycles)
    asked = {case.lanes: case for case in cycles.CASES if case.most}
    assert {lanes: case.most for lanes, case in asked.items()} == {8: 1000, 64: 140, 48: 320}
    for case in asked.values():
        row = cycles.measure(case)
        assert row["measured"] == row["planned"] <= case.most
        assert cycles.verdict(row) is None
        for change in ({"at_most": row["measured"] - 1}, {"planned": row["measured"] - 1}):
            assert "MISSED" in cycles.verdict({**row, **change})
