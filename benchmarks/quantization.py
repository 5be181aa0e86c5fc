"""Accuracy and error of the integer model over weight widths; plans over lanes; their cost."""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from vle.compiler import compile_model
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.quantize import quantize
from vle.compiler.run import Session, run_raw
from vle.sim import Layer, Network
from vle.sim.tasks import mnist1d

MODEL = Path(__file__).parents[1] / "examples" / "models" / "mnist1d.onnx"
WEIGHT_BITS = (16, 12, 10, 8, 6, 5, 4, 3)
CALIBRATION = 256  # training samples
LIMITS = {16: 0.2, 8: 0.7}  # points of accuracy that may be lost
LANES = (1, 2, 4, 8, 16, 32, 64, 100, 128)
CYCLES = {8: 1000, 64: 140}  # of the perceptron, at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    result = {"accuracy": accuracy(), "plans": plans()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "quantization.json").write_text(json.dumps(result, indent=1))
    draw(result, out / "quantization.png")


def accuracy() -> dict[str, Any]:
    """All 1000 test samples of MNIST-1D; calibrated on training samples."""
    task, network = mnist1d.load(), Network.load(MODEL)
    x, y = task.x[:, task.test], task.y[task.test]
    calibration = task.x[:, task.train[:CALIBRATION]]
    real = network.run(x)
    correct = classes(real) == y
    print(f"float: {100 * correct.mean():.1f} % of {len(y)} test samples")
    print("bits  accuracy  nearest  same class  rms error  compile  run (CPU s)")
    rows = [row(network, calibration, (x, y, real), bits) for bits in WEIGHT_BITS]
    for found in rows:
        lost = 100 * correct.mean() - found["accuracy"]
        limit = LIMITS.get(found["bits"])
        assert limit is None or lost <= limit, f"{found['bits']} bits lose {lost:.1f} points"
    return {"float": 100 * float(correct.mean()), "rows": rows}


def row(
    network: Network,
    calibration: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray, np.ndarray],
    bits: int,
) -> dict[str, Any]:
    x, y, real = held_out
    begin = process_time()
    design = compile_model(network, calibration=calibration, weight_bits=bits)
    compiled = process_time()
    fixed = design.run(x)
    ran = process_time()
    found = {
        "bits": bits,
        "accuracy": 100 * float(np.mean(classes(fixed) == y)),
        "nearest": 100 * float(np.mean(classes(nearest(network, calibration, bits, x)) == y)),
        "same_class": 100 * float(np.mean(classes(fixed) == classes(real))),
        "rms_error": float(np.sqrt(np.mean((fixed - real) ** 2) / np.mean(real**2))),
        "saturated": design.input_saturation + sum(map(sum, design.saturation)),
        "compile_cpu_s": compiled - begin,
        "run_cpu_s": ran - compiled,
    }
    print(
        f"{bits:4} {found['accuracy']:8.1f} {found['nearest']:8.1f} {found['same_class']:10.1f} "
        f"{found['rms_error']:11.2%} {compiled - begin:8.1f} {ran - compiled:6.1f}"
    )
    return found


def nearest(network: Network, calibration: np.ndarray, bits: int, x: np.ndarray) -> np.ndarray:
    """The same formats, but every weight rounded by itself."""
    ranges = calibrate(network, calibration).ranges
    spec = quantize(network, ranges, Widths(weight=bits)).network
    words = spec.layers[0].x_format.quantize(x)
    return run_raw(spec, Session(), words, aligned=network.aligned).output


def classes(output: np.ndarray) -> np.ndarray:
    return output.sum(axis=0).argmax(axis=-1)


def plans() -> dict[str, Any]:
    """A perceptron 40-64-64-10 with 8-bit weights, and the bundled model."""
    rng, sizes = np.random.default_rng(0), (40, 64, 64, 10)
    layers = tuple(
        Layer(rng.normal(size=(high, low)) / np.sqrt(low), np.zeros(high), 1.0, 1.0, "relu")
        for low, high in pairwise(sizes)
    )
    perceptron = Network(layers, 1.0)
    found = {}
    for name, network in (("40-64-64-10", perceptron), ("mnist1d", Network.load(MODEL))):
        print(f"{name}: lanes, cycles per step, engines, multipliers")
        found[name] = [planned(network, lanes) for lanes in LANES]
    for lanes, most in CYCLES.items():
        got = next(p for p in found["40-64-64-10"] if p["lanes"] == lanes)
        assert got["cycles"] <= most, f"{lanes} lanes take {got['cycles']} cycles"
    return found


def planned(network: Network, lanes: int) -> dict[str, Any]:
    report = compile_model(network, input_range=(-1, 1), weight_bits=8, lanes=lanes).report
    work = sum(layer["inputs"] * layer["outputs"] for layer in report["layers"])
    found = {
        "lanes": lanes,
        "cycles": report["cycles_per_step"],
        "ideal": work / lanes,
        "engines": len(report["engines"]),
        "multipliers": report["multipliers"],
    }
    print(f"{lanes:6} {found['cycles']:8} {found['engines']:4} {found['multipliers']:6}")
    return found


def draw(result: dict[str, Any], path: Path) -> None:
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    rows = result["accuracy"]["rows"]
    bits = [r["bits"] for r in rows]
    left.axhline(result["accuracy"]["float"], color="gray", label="float")
    left.plot(bits, [r["accuracy"] for r in rows], "o-", label="errors made up for")
    left.plot(bits, [r["nearest"] for r in rows], "s--", label="each to the nearest")
    left.set(xlabel="bits per weight", ylabel="test accuracy in %", title="MNIST-1D")
    left.legend()
    for name, found in result["plans"].items():
        lanes = [p["lanes"] for p in found]
        (line,) = right.loglog(lanes, [p["cycles"] for p in found], "o", label=name)
        right.loglog(lanes, [p["ideal"] for p in found], color=line.get_color(), lw=0.8)
    right.set(xlabel="lanes", ylabel="cycles per step", title="plans; lines: synapses / lanes")
    right.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
