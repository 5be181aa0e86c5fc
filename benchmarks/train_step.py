"""Time of one local training step of the 6 x 53 network: forward, errors, one Adam update.

`--reference DIR` names a checkout of the public PyTorch GLE simulation (unibe-cns/gle-code); it
then runs in the same process, in turn with ours, on one thread.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"

import jax
import jax.numpy as jnp
import numpy as np

from vle.sim import tasks
from vle.sim.train import recipe
from vle.sim.train.trainer import Trainer

STEPS = 360


def ours(batch: int) -> Callable[[], float]:
    """Return a function that trains a batch for 360 steps and returns CPU seconds per step."""
    task = tasks.load("mnist1d")
    trainer = Trainer(
        task, recipe.default("mnist1d", learning="prospective", batch=batch, augment=False)
    )
    index = task.train[:batch]
    episode = jax.tree.map(jnp.asarray, trainer.episode(index))
    learner, key = trainer.learner, jax.random.key(0)

    def run() -> float:
        nonlocal learner
        begin = time.process_time()
        learner, _ = trainer.learn(learner, episode, jnp.asarray(index), key)
        jax.block_until_ready(learner)
        return (time.process_time() - begin) / STEPS

    run()  # compiles
    return run


def reference(folder: Path, batch: int, steps: int = STEPS) -> Callable[[], float]:
    """Return the same for the public simulation, `steps` steps; its loss is not computed."""
    sys.path[:0] = [str(folder), str(folder / "experiments/mnist1d")]
    import torch  # noqa: PLC0415
    from lib.utils import get_loss_and_derivative  # noqa: PLC0415
    from networks import E2ELagMLPNet  # noqa: PLC0415

    torch.set_num_threads(1)
    E2ELagMLPNet.compute_target_error = get_loss_and_derivative("ce", "linear")[1]
    with redirect_stdout(io.StringIO()):
        model = E2ELagMLPNet(
            dt=0.2,
            tau=1.2,
            prospective_errors=True,
            n_hidden_layers=6,
            hidden_fast_size=17,
            hidden_slow_size=36,
        )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    task = tasks.load("mnist1d")
    index = task.train[:batch]
    x, target = torch.tensor(task.x[:steps, index]).float(), torch.tensor(task.y[index])

    def run() -> float:
        begin = time.process_time()
        for frame in x:
            optimizer.zero_grad()
            with torch.no_grad():
                model(frame, target, beta=1.0)
            optimizer.step()
        return (time.process_time() - begin) / steps

    run()
    return run


def measure(folder: Path | None, batch: int, repetitions: int) -> dict[str, Any]:
    """Return medians over interleaved repetitions, in microseconds."""
    mine, theirs = ours(batch), reference(folder, batch) if folder else None
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(repetitions):
        times["ours"].append(mine())
        if theirs:
            times["reference"].append(theirs())
    row: dict[str, Any] = {"batch": batch, "ours_us": statistics.median(times["ours"]) * 1e6}
    if theirs:
        ratios = np.array(times["reference"]) / np.array(times["ours"])
        row["reference_us"] = statistics.median(times["reference"]) * 1e6
        row["ratio"] = float(np.median(ratios))
        row["ratio_quartiles"] = np.percentile(ratios, [25, 75]).tolist()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--reference", type=Path, help="checkout of unibe-cns/gle-code")
    parser.add_argument("--repetitions", type=int, default=11)
    arguments = parser.parse_args()
    rows = [measure(arguments.reference, batch, arguments.repetitions) for batch in (1, 100)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "train_step.json").write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        line = f"batch {row['batch']:3}: {row['ours_us']:7.1f} us a step"
        if "ratio" in row:
            low, high = row["ratio_quartiles"]
            line += (
                f", PyTorch GLE simulation {row['reference_us']:7.1f} us: {row['ratio']:.1f} times"
                f" (quartiles {low:.1f} to {high:.1f})"
            )
        print(line)


if __name__ == "__main__":
    main()
