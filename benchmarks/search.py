"""Quantisation without an expert: agreement at 8 bits, proofs and brute force, `vle-explore`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from vle.compiler import compile_model
from vle.sim import Layer, Network

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "models"
sys.path.insert(0, str(ROOT / "tests" / "compiler"))
SIZES, SEEDS, INPUTS = (40, 64, 64, 10), 4, 1000
NETWORKS = 1000
AGREES, FASTER = 0.98, 1.6  # at least
WIDTHS = ((8, 16), (8, 8), (6, 16))  # bits of weights and of rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", choices=("agreement", "proofs", "exploring"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    every = {"agreement": agreement, "proofs": proofs, "exploring": lambda: exploring(options.out)}
    names = [options.only] if options.only else list(every)
    result = {name: every[name]() for name in names}
    (options.out / "search.json").write_text(json.dumps(result, indent=1) + "\n")


def agreement() -> list[dict[str, Any]]:
    """Class of a perceptron 40-64-64-10 against float, on fresh inputs; nothing tuned by hand."""
    names = [f"{w}/{r} bit" for w, r in WIDTHS]
    print(f"class as in float, of {INPUTS} inputs: weights/rates of", ", ".join(names))
    rows = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        teacher = perceptron(
            [rng.normal(size=(h, low)) * np.sqrt(2 / low) for low, h in pairwise(SIZES)],
            [0.1 * rng.normal(size=h) for h in SIZES[1:]],
        )
        x, fresh = rng.normal(size=(8000, SIZES[0])), rng.normal(size=(INPUTS, SIZES[0]))
        teacher = centred(teacher, x)
        student = trained(x, teacher.run(x).argmax(axis=-1), seed)
        for name, network in (("student", student), ("teacher", teacher)):
            rows.append({"seed": seed, "network": name, **agreeing(network, x[:1000], fresh)})
            print(seed, name, *(f"{rows[-1][n]:7.1%}" for n in names))
    worst = min(row["8/16 bit"] for row in rows)
    mean = {n: float(np.mean([r[n] for r in rows if r["network"] == "student"])) for n in names}
    print("students, mean:", mean, " worst of all at 8-bit weights:", worst)
    assert worst >= AGREES
    return rows


def perceptron(weights: list[np.ndarray], biases: list[np.ndarray]) -> Network:
    last = len(weights) - 1
    layers = tuple(
        Layer(w, b, 1.0, 1.0, "identity" if i == last else "relu")
        for i, (w, b) in enumerate(zip(weights, biases, strict=True))
    )
    return Network(layers, 1.0, aligned=True)


def centred(network: Network, x: np.ndarray) -> Network:
    """Shift the outputs so that no class is left out."""
    *below, top = network.layers
    shifted = replace(top, bias=top.bias - network.run(x).mean(axis=0))
    return replace(network, layers=(*below, shifted))


def trained(x: np.ndarray, y: np.ndarray, seed: int) -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        model = MLPClassifier(SIZES[1:-1], max_iter=20, random_state=seed).fit(x, y)
    return perceptron([w.T for w in model.coefs_], list(model.intercepts_))


def agreeing(network: Network, x: np.ndarray, fresh: np.ndarray) -> dict[str, float]:
    real = network.run(fresh).argmax(axis=-1)
    found = {}
    for weight, rate in WIDTHS:
        design = compile_model(network, calibration=x, weight_bits=weight, rate_bits=rate)
        found[f"{weight}/{rate} bit"] = float(np.mean(design.run(fresh).argmax(axis=-1) == real))
    return found


def proofs() -> dict[str, Any]:
    """A thousand random networks, every sum pushed as far as it goes; how much room is left."""
    from nets import random_network  # noqa: PLC0415 - of the tests
    from test_worst_case import pushed  # noqa: PLC0415

    rng, rows = np.random.default_rng(0), []
    for index in range(NETWORKS):
        recurrent = index % 3 == 2
        sizes = rng.integers(1, 9, rng.integers(2, 5)).tolist()
        kind = "tanh" if recurrent else None
        network = random_network(
            rng, sizes, recurrent=recurrent, instantaneous=bool(rng.integers(2)), activation=kind
        )
        bits = int(rng.integers(2, 17))
        design = compile_model(network, input_range=(-1, 1), weight_bits=bits, lanes=2)
        layers = len(design.network.layers)
        found = pushed(design, rng)  # asserts that no sum passes its bound
        for layer in range(layers):
            reached = np.max([found[layer][0], found[layer + layers][0]], axis=0)
            low = np.min([found[layer][2], found[layer + layers][2]], axis=0)
            high = np.max([found[layer][3], found[layer + layers][3]], axis=0)
            bounds, worst = found[layer][1], found[layer][4]
            span = np.maximum(worst.high - worst.low, 1)
            tight, exact = np.mean(1 - reached / bounds), np.mean(1 - (high - low) / span)
            rows.append((layer == 0, recurrent, tight, exact, len(bounds)))
    first = np.array([row[0] and not row[1] for row in rows])
    table = np.array([row[2:] for row in rows])
    result = {
        "networks": NETWORKS,
        "accumulators": int(table[:, 2].sum()),
        "mean slack of the bound": float(table[:, 0].mean()),
        "of first layers": float(table[first, 0].mean()),
        "mean slack of the interval": float(table[:, 1].mean()),
        "interval of first layers": float(table[first, 1].mean()),
    }
    print(result)
    return result


def exploring(out: Path) -> dict[str, Any]:
    """`vle-explore` on the bundled model, 40 designs, on one worker and on two."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, found = {}, {}
        for workers in (1, 2):
            target = out / "explore" if workers == 2 else Path(folder)
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", "from vle.compiler.cli.explore import main; main()",
                 MODELS / "mnist1d.onnx", "--calibration", MODELS / "mnist1d_calibration.npy",
                 "-j", str(workers), "-q", "-o", target],
                check=True,
            )  # fmt: skip
            seconds[workers] = time.perf_counter() - begin
            found[workers] = (target / "explore.json").read_text()
    assert found[1] == found[2]
    result = {
        "designs": len(json.loads(found[1])["designs"]),
        "seconds": seconds,
        "faster": seconds[1] / seconds[2],
        "load": os.getloadavg()[0],
    }
    print(result, "" if result["faster"] >= FASTER else f"below {FASTER}: is the machine busy?")
    return result


if __name__ == "__main__":
    main()
