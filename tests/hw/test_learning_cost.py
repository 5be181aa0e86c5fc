"""What learning costs: clocks per step by the timing, memory and registers of the circuit."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import random_chips
from amaranth.back import rtlil
from conftest import SOAK

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.learning.network import LearningNetwork
from vle.hw.network import NetworkCore

LONG = pytest.mark.skipif(not SOAK, reason="takes a quarter of a minute; VLE_SOAK=1 does it")
FOLDINGS = [
    ([40, 100, 2], (0,), [(4, 12, (0, 1))], (313, 325)),
    ([40, 100, 2], (0,), [(1, 47, (0,)), (1, 1, (1,))], (320, 320)),
    ([40, 64, 64, 10], (), [(1, 8, (0, 1, 2))], (912, 912)),
    ([40, 64, 64, 10], (), [(8, 8, (0, 1, 2))], (138, 149)),
    ([40, 64, 64, 10], (), [(11, 2, (0,)), (6, 6, (1,)), (1, 6, (2,))], (121, Fraction(279, 2))),
    ([1] + [53] * 6 + [10], (), [(4, 12, tuple(range(7)))], (379, 379)),
]


def chips(sizes, recurrent, engines, **options) -> tuple[ChipSpec, ChipSpec]:
    """The same network and folding without and with learning; all activations are tables."""
    rng = np.random.default_rng(0)
    table = random_chips.table(rng, 24, 16, 8)
    network = random_chips.network(
        rng, sizes, recurrent=recurrent, weight_width=16, activation=table
    )
    folding = Folding(tuple(EngineSpec(*engine) for engine in engines))
    learns = random_chips.learning(rng, network, **options)
    return ChipSpec(network, folding), ChipSpec(learns.network, folding, learns)


@pytest.mark.parametrize(("sizes", "recurrent", "engines", "clocks"), FOLDINGS)
def test_clocks_per_step(sizes, recurrent, engines, clocks):
    """At most 3 % more than inference, or 20 clocks where a pass is under 600."""
    inference, learning = map(timing.steady_cycles, chips(sizes, recurrent, engines))
    assert learning <= max(inference * 1.03, inference + 20)
    assert (inference, learning) == clocks


def test_clocks_of_any_folding():
    """At most 25 clocks more for chips at random; more than 20 only with two layers in turn.

    Then errors go from the one to the other and back within a step, and groups of rows are long.
    """
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(2, 60, rng.integers(2, 6)).tolist()
        recurrent = tuple(np.flatnonzero(rng.random(len(sizes) - 1) < 0.3).tolist())
        plan = random_chips.folding(rng, len(sizes) - 1, most=12)
        engines = [(e.pe, e.simd, e.layers) for e in plan.engines]
        inference, learning = map(timing.steady_cycles, chips(sizes, recurrent, engines))
        busiest = max(plan.engines, key=lambda engine: len(engine.layers))
        short = len(busiest.layers) <= 2 and busiest.pe > 6
        assert learning <= max(inference * 1.03, inference + (25 if short else 20)), seed


def bits(chip: ChipSpec, layer: int) -> int:
    """Bits of memories and registers of a layer's engine and its frames and sums, as generated."""
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    text = rtlil.convert(NetworkCore(chip), name="core", emit_src=False)
    mine = re.compile(rf"\\core\.(engine|buffer|frames|down){layer}(\.|\$|$)")
    found, module, register = Counter(), "", False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("module "):
            module = line.split()[1]
        elif line.startswith("memory "):
            width, size = re.search(r"width (\d+) size (\d+)", line).groups()
            found[module] += int(width) * int(size)
        elif line.startswith("cell "):
            register = line.split()[1] in {"$dff", "$adff", "$dffe", "$sdff"}
        elif register and line.startswith("parameter \\WIDTH"):
            found[module] += int(line.split()[-1])
    return sum(count for name, count in found.items() if mine.match(name))


@pytest.mark.parametrize(
    ("options", "lanes", "most"),
    [
        ({}, (1, 8), 0.04),
        pytest.param({}, (4, 12), 0.04, marks=LONG),
        pytest.param({"plasticity": "filtered"}, (1, 8), 0.06, marks=LONG),
        pytest.param({"paces": True}, (1, 8), 0.08, marks=LONG),
    ],
)
def test_memory_of_a_layer_in_the_middle(options, lanes, most):
    """Of 256 x 256 weights of 16 bits, one pair of time constants: all that learning adds."""
    inference, learning = chips([4, 256, 256, 4], (), [(*lanes, (k,)) for k in range(3)], **options)
    one = tuple(replace(spec, group=spec.group * 0) for spec in learning.learning.learning)
    shared = LearningNetwork(learning.network, one, learning.learning.loss)
    before = bits(inference, 1)
    added = bits(ChipSpec(learning.network, learning.folding, shared), 1) - before
    assert added <= most * before
