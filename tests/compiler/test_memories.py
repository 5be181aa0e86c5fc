"""The memories of the plan are those of the circuit, bit by bit."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from amaranth.back import rtlil

from vle.compiler import LearningOptions, compile_model
from vle.compiler.planning.memories import memories
from vle.hw.top import Top
from vle.sim import Layer, Network


def network(*, plasticity="prospective", recurrent=False, loss="squared_error", alone=False):
    rng, layers = np.random.default_rng(0), []
    sizes = (2, 1, 1) if alone else (9, 7, 6, 4)
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        own = rng.normal(size=(outputs, outputs)) * 0.1 if recurrent and k == 1 else None
        layers.append(
            Layer(
                rng.normal(size=(outputs, inputs)) * 0.3,
                np.zeros(outputs),
                np.where(np.arange(outputs) % 2, 1.2, 0.8),
                0.6,
                ("tanh", "relu", "identity")[k + len(sizes) % 2],
                own,
            )
        )
    return Network(tuple(layers), 0.2, plasticity=plasticity, loss=loss)


CASES = {
    "inference": (network(recurrent=True), None),
    "prospective": (network(), LearningOptions()),
    "recurrent, cross-entropy": (
        network(recurrent=True, loss="cross_entropy"),
        LearningOptions(),
    ),
    "filtered": (network(plasticity="filtered", recurrent=True), LearningOptions()),
    "time constants": (network(recurrent=True), LearningOptions(time_constants=True)),
    "all": (network(plasticity="filtered", alone=True), LearningOptions(time_constants=True)),
}


@pytest.mark.parametrize(
    ("case", "lanes"), [*((case, 9) for case in CASES), ("recurrent, cross-entropy", 1)]
)
def test_memories_are_those_of_the_circuit(case, lanes):
    model, learning = CASES[case]
    design = compile_model(model, lanes=lanes, learning=learning or False)
    text = rtlil.convert(Top(design.chip), emit_src=False)
    found = Counter()
    for width, words in re.findall(r"^\s+memory width (\d+) size (\d+) ", text, re.M):
        found[int(width) * int(words)] += 1
    planned = memories(design.chip)
    assert sum(memory.bits for memory in planned) == sum(k * n for k, n in found.items())
    assert design.report["memory_bits"] == sum(memory.bits for memory in planned)
