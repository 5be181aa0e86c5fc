"""Steps per second of the integer models, in C++ and in NumPy, on one core.

The 6 x 53 network of MNIST-1D learns from noise; what it learns is compared bit for bit.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from vle.compiler import fast
from vle.compiler.learning.network import LOSSES, LearningNetwork, LearnState, Target
from vle.compiler.network import NetworkState
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.learning import LearningOptions, learning_spec
from vle.compiler.quantization.quantize import quantize
from vle.sim import Layer, Network

SIZES = (1, *(53,) * 6, 10)
STEPS, NUMPY_STEPS, ROUNDS = 4000, 100, 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    rows = [learns(rule, loss) for rule in ("prospective", "filtered") for loss in LOSSES]
    rows += [infers(batch) for batch in (1, 10, 100)]
    print("what                                 C++, steps/s   NumPy, steps/s   ratio")
    for row in rows:
        rates = f"{row['fast']:14.0f} {row['numpy']:16.0f} {row['ratio']:7.1f}"
        print(f"{row['what']:36}", rates)
    out.mkdir(parents=True, exist_ok=True)
    (out / "fast.json").write_text(json.dumps(rows, indent=1) + "\n")


def network(plasticity: str) -> tuple[LearningNetwork, np.ndarray, np.ndarray]:
    """Return the network, input words and targets."""
    rng = np.random.default_rng(0)
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(SIZES)):
        tau_m = np.full(outputs, 1.2)
        tau_r = np.where(np.arange(outputs) < 17, tau_m, 0.6)
        weight = rng.normal(0, inputs**-0.5, (outputs, inputs))
        phi = "tanh" if index < len(SIZES) - 2 else "identity"
        layers.append(Layer(weight, np.zeros(outputs), tau_m, tau_r, phi))
    source = Network(tuple(layers), 0.2, plasticity=plasticity)
    x = rng.normal(0, 1, (STEPS, SIZES[0]))
    options = LearningOptions(rate=1e-4)
    ranges = calibrate(source, x[:400], None).ranges
    words = quantize(source, ranges, Widths(), learning=options).network
    specs = tuple(learning_spec(source, k, one, options) for k, one in enumerate(words.layers))
    target = rng.integers(0, 1 << 10, (STEPS, SIZES[-1]))
    net = LearningNetwork(words, specs, LOSSES[0])
    return net, words.layers[0].x_format.quantize(x), target


def learns(plasticity: str, loss: str) -> dict[str, Any]:
    """Learn in every step."""
    net, x, target = network(plasticity)
    net = LearningNetwork(net.network, net.learning, loss)

    def slow() -> LearnState:
        state = net.reset()
        for frame, words in zip(x[:NUMPY_STEPS], target, strict=False):
            state, _ = net.step(state, frame, Target(words))
        return state

    def quick() -> fast.Learned:
        return fast.run(net, net.reset(), x, target)

    got = fast.run(net, net.reset(), x[:NUMPY_STEPS], target[:NUMPY_STEPS]).state
    for a, b in zip(got.learning, slow().learning, strict=True):
        assert np.array_equal(a.weight, b.weight), "words differ"
    row = compare(quick, slow, (STEPS, NUMPY_STEPS))
    return {"what": f"learning, {plasticity}, {loss.replace('_', ' ')}", **row}


def infers(batch: int) -> dict[str, Any]:
    """Run without learning; a step is one of one sequence."""
    net, x, _ = network("prospective")
    frames, steps = np.repeat(x[:400, None], batch, axis=1), NUMPY_STEPS // 2

    def slow() -> NetworkState:
        state = net.network.reset(batch)
        for frame in frames[:steps]:
            state, _ = net.network.step(state, frame)
        return state

    def quick() -> fast.Inferred:
        return fast.infer(net.network, net.network.reset(batch), frames)

    got = fast.infer(net.network, net.network.reset(batch), frames[:steps])
    assert np.array_equal(got.state.layers[-1].u, slow().layers[-1].u), "words differ"
    row = compare(quick, slow, (len(frames) * batch, steps * batch))
    return {"what": f"inference, batch of {batch}", **row}


def compare(
    quick: Callable[[], object], slow: Callable[[], object], steps: tuple[int, int]
) -> dict[str, float]:
    """Return medians over rounds in turn, of steps per second of CPU time."""
    times = [(_seconds(quick) / steps[0], _seconds(slow) / steps[1]) for _ in range(ROUNDS)]
    one, other = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    return {"fast": 1 / one, "numpy": 1 / other, "ratio": ratio}


def _seconds(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return process_time() - begin


if __name__ == "__main__":
    main()
