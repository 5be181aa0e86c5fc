"""Train in torch, compile, and lay the integers over the floats: a noisy sensor without its noise.

A slow signal is heard with noise in it; the network says what it is without. Leaky integrators take
the noise away and would be late, but they look ahead.

    python examples/torch_training.py [--rule filtered] [--steps 120] [--out build/torch]
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np
import torch

from vle.compiler import compile_model
from vle.sim.gradients import RULES
from vle.sim.pytorch import LatentLayer, LatentNetwork

mpl.use("Agg")
from matplotlib import pyplot as plt

DT, STEPS = 0.02, 150  # seconds, and steps of a sequence


def sensor(sequences: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is heard and what there is, `(T, sequences, 1)`: sines with and without noise."""
    rng = np.random.default_rng(seed)
    t = DT * np.arange(STEPS)[:, None, None]
    hertz, phase = rng.uniform(0.2, 1.2, (sequences, 3)), rng.uniform(0, 6.28, (sequences, 3))
    there = np.sin(2 * np.pi * hertz * t + phase).mean(axis=-1)[..., None]
    heard = there + 0.3 * rng.normal(size=there.shape)
    return torch.tensor(heard, dtype=torch.float32), torch.tensor(there, dtype=torch.float32)


def untrained() -> LatentNetwork:
    """Twelve leaky integrators with time constants from 40 ms to 600 ms, and a leaky readout."""
    torch.manual_seed(0)
    return LatentNetwork(
        LatentLayer(1, 12, dt=DT, tau_m=np.geomspace(0.04, 0.6, 12)),
        LatentLayer(12, 1, dt=DT, tau_m=0.06, tau_r=0.04, activation="identity"),
    )


@click.command()
@click.option("--rule", type=click.Choice(["exact", *RULES]), default="filtered", show_default=True)
@click.option("--steps", default=120, show_default=True, help="updates by Adam")
@click.option("--out", type=Path, default=Path("build/torch"), show_default=True)
def main(rule: str, steps: int, out: Path) -> None:
    """Train, compile, compare, draw."""
    x, y = sensor(16, seed=0)
    x_new, y_new = sensor(8, seed=1)

    model = untrained()
    costs = model.fit(x, y, steps=steps, rate=0.02, rule=rule)
    design = compile_model(model.to_network(), calibration=x.numpy(), lanes=6)

    curves = {rule: costs}
    if rule != "exact":  # for comparison
        curves["exact"] = untrained().fit(x, y, steps=steps, rate=0.02)
    real, words = model(x_new).detach().numpy(), design.run(x_new.numpy())
    figures = {
        "rule": rule,
        "cost_before": costs[0],
        "cost_after": costs[-1],
        "cost_after_exact": curves["exact"][-1],
        "error_heard": rms(x_new - y_new),
        "error_float": rms(real - y_new.numpy()),
        "error_integers": rms(words - y_new.numpy()),
        "largest_difference": float(abs(words - real).max()),
        "output_word": float(design.output_format.step),
        "cycles_per_step": float(design.cycles_per_step),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "torch.json").write_text(json.dumps(figures, indent=1))
    draw(out / "torch.png", curves, (x_new, y_new, real, words), figures["output_word"])
    for name, value in figures.items():
        click.echo(f"{name:20}{value if isinstance(value, str) else f'{value:.4g}'}")
    click.echo(f"picture: {out / 'torch.png'}")


def rms(error: np.ndarray | torch.Tensor) -> float:
    """Root of the mean square."""
    return float((error**2).mean() ** 0.5)


def draw(path: Path, curves: dict[str, list[float]], answers: tuple, step: float) -> None:
    """Draw how it learned, and one sequence that it has not seen."""
    heard, there, real, words = (np.asarray(a)[:, 0, 0] for a in answers)
    t = DT * np.arange(STEPS)
    figure, axes = plt.subplots(
        3, 1, figsize=(9, 8), height_ratios=(1, 2.2, 1), layout="constrained"
    )
    for rule, color in zip(curves, ("tab:blue", "0.6"), strict=False):
        axes[0].semilogy(curves[rule], color=color, label=rule)
    axes[0].legend(frameon=False)
    axes[0].set(xlabel="update", ylabel="cost")
    axes[1].plot(t, heard, ".", color="0.7", label="heard")
    axes[1].plot(t, there, color="0.2", linewidth=1, linestyle="--", label="there")
    axes[1].plot(t, real, color="tab:blue", linewidth=5, alpha=0.3, label="torch, float")
    axes[1].plot(t, words, color="tab:blue", linewidth=1, label="integer model")
    axes[1].legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.13))
    axes[1].set(ylabel="signal")
    axes[2].axhspan(-step / 2, step / 2, color="0.85", label="one output word")
    axes[2].plot(t, words - real, color="tab:blue", linewidth=1)
    axes[2].legend(frameon=False, loc="upper right")
    axes[2].set(xlabel="seconds", ylabel="integer model\n− float")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
