"""How exact the exact gradients are: JAX, adjoint and central differences on random networks.

Also the filtered input where it should be exact, in networks of one layer. Writes
``exactness.json`` into ``--out``.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import numpy as np

from vle.sim import Layer, Network, losses
from vle.sim.activations import NAMES
from vle.sim.dynamics import LayerParameters
from vle.sim.gradients import adjoint_gradient, agreement, local_gradient, reverse_gradient
from vle.sim.gradients.compare import TIME_CONSTANTS, WEIGHTS

NUMBERS = ("weight", "bias", "tau_m", "tau_r", "recurrent")
DT = 0.05


def random_case(seed: int, layers: int, steps: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """A network with every second layer recurrent, and three sequences with absent targets."""
    rng = np.random.default_rng(seed)
    made = []
    for index, (inputs, outputs) in enumerate(pairwise(rng.integers(2, 7, layers + 1))):
        made.append(
            Layer(
                rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)),
                rng.normal(0, 0.3, outputs),
                rng.uniform(0.1, 1.2, outputs),
                rng.uniform(0.1, 1.2, outputs),
                NAMES[(seed + index) % len(NAMES)],
                rng.normal(0, 0.3, (outputs, outputs)) if index % 2 else None,
            )
        )
    network = Network(made, DT, ("squared_error", "cross_entropy")[seed % 2])
    x = rng.normal(size=(steps, 3, network.inputs))
    if network.loss == "cross_entropy":
        return network, x, rng.integers(-1, network.outputs, (steps, 3))
    y = rng.normal(size=(steps, 3, network.outputs))
    y[rng.random(y.shape) < 0.1] = np.nan
    return network, x, y


def relative(found: list[LayerParameters], exact: tuple[LayerParameters, ...]) -> float:
    """Largest difference by the largest number."""
    pairs = [
        (getattr(a, name), getattr(b, name))
        for a, b in zip(found, exact, strict=True)
        for name in NUMBERS
        if getattr(b, name) is not None
    ]
    return float(
        max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)
    )


def differences(network: Network, x: np.ndarray, y: np.ndarray, h: float = 2e-5) -> list:
    """Central differences of fourth order, one parameter after the other."""

    def cost(k: int, name: str, value: np.ndarray) -> float:
        layers = list(network.parameters)
        layers[k] = layers[k]._replace(**{name: value})
        r = network.with_parameters(layers).run(x)
        before = np.concatenate([np.zeros_like(r[:1]), r[:-1]])
        return float(losses.cost(network.loss, before, y).sum())

    gradient = []
    for k, p in enumerate(network.parameters):
        slopes = {name: np.zeros_like(a) for name in NUMBERS if (a := getattr(p, name)) is not None}
        for name, slope in slopes.items():
            for at in np.ndindex(slope.shape):
                unit = np.zeros_like(slope)
                unit[at] = h
                a, b, c, d = (cost(k, name, getattr(p, name) + s * unit) for s in (1, -1, 2, -2))
                slope[at] = (8 * (a - b) - (c - d)) / (12 * h)
        gradient.append(LayerParameters(**slopes))
    return gradient


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/bench"))
def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    jax_adjoint, adjoint_slope, cosines = [], [], []
    for seed in range(16):
        network, x, y = random_case(seed, 1 + seed % 3, 40)
        exact = adjoint_gradient(network.parameters, network.settings, x, y)
        by_jax = reverse_gradient(network.parameters, network.settings, x, y)
        jax_adjoint.append(relative(by_jax, exact))
        network, x, y = random_case(seed, 1 + seed % 3, 12)
        exact = adjoint_gradient(network.parameters, network.settings, x, y)
        adjoint_slope.append(relative(differences(network, x, y), exact))
        network, x, y = random_case(seed, 1, 300)
        arguments = network.parameters, network.settings, x, y
        pair = local_gradient(*arguments, "filtered")[0], adjoint_gradient(*arguments)[0]
        cosines += [agreement(*pair, names).cosine for names in (WEIGHTS, TIME_CONSTANTS)]
    report = {
        "networks": 16,
        "jax_against_adjoint": max(jax_adjoint),
        "adjoint_against_central_differences": max(adjoint_slope),
        "filtered_input_of_one_layer_smallest_cosine": min(cosines),
    }
    text = json.dumps(report, indent=1)
    (out / "exactness.json").write_text(text + "\n")
    click.echo(text)


if __name__ == "__main__":
    main()
