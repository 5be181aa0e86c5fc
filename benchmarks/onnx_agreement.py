"""`Network.run` against onnxruntime on the saved file, over 1000 steps."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime

from vle.sim import Activation, Layer, Network
from vle.sim.activations import NAMES

STEPS, BATCH = 1000, 4
LIMIT = 1e-5
MODELS = Path(__file__).parents[1] / "examples" / "models"


def networks(rng: np.random.Generator) -> Iterator[tuple[str, Network]]:
    """Bundled models, and random ones of every kind."""
    for path in sorted(MODELS.glob("*.onnx")):
        yield path.stem, Network.load(path)
    for recurrent in (False, True):
        for aligned in (False, True):
            kind = "recurrent" if recurrent else "feedforward"
            name = f"{kind}{', aligned' if aligned else ''}, 8 x 32, all activations"
            yield name, random_network(rng, (8, *[32] * 8, 4), recurrent, aligned)


def random_network(
    rng: np.random.Generator, sizes: tuple[int, ...], recurrent: bool, aligned: bool
) -> Network:
    """Time constants of 1 to 10 steps; recurrent weights of spectral radius about 0.7."""
    layers = []
    for index, (low, high) in enumerate(pairwise(sizes)):
        own = 0.7 * rng.normal(size=(high, high)) / np.sqrt(high)
        weight, bias = rng.normal(size=(high, low)) / np.sqrt(low), rng.normal(size=high)
        tau_m, tau_r = rng.uniform(0.2, 2, size=(2, high))
        phi = Activation(NAMES[index % len(NAMES)])
        layers.append(Layer(weight, bias, tau_m, tau_r, phi, own if recurrent else None))
    return Network(tuple(layers), 0.2, aligned=aligned)


def difference(network: Network, path: Path, rng: np.random.Generator) -> float:
    """Largest difference to onnxruntime, as a fraction of the output's range."""
    network.save(path)
    assert Network.load(path) == network
    x = rng.normal(size=(STEPS, BATCH, network.inputs)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    expected = network.run(x)
    return float(np.abs(found - expected).max() / np.ptp(expected))


def main() -> None:
    """Print one line per network; fail where the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    found = {}
    for name, network in networks(rng):
        found[name] = difference(network, out / "agreement.onnx", rng)
        print(f"{name:48}{found[name]:9.1e} of the range")
    (out / "agreement.onnx").unlink()
    (out / "onnx_agreement.json").write_text(json.dumps(found, indent=1) + "\n")
    if max(found.values()) > LIMIT:
        raise SystemExit(f"difference must be at most {LIMIT} of the range")


if __name__ == "__main__":
    main()
