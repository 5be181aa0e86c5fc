"""Mackey-Glass: a chaotic series, forecast six steps ahead, learned online.

python examples/learning/mackey_glass.py [--seeds 3] [--steps 320000] [--chip 500]
"""

from __future__ import annotations

import numpy as np
from follow import follow
from forecast import Lesson
from networks import network
from program import Options, Result, program

from vle.sim import Network, tasks

STEPS = 320_000
TAU_M = np.repeat([2.0, 4.0, 8.0, 16.0], 8)


def untaught(seed: int) -> Network:
    """1-32-32-1 with time constants of 2 to 16 steps."""
    return network([1, 32, 32, 1], [(TAU_M, 1.0), (TAU_M, 1.0), (1.0, 1.0)], 1.0, seed=seed)


@program("mackey_glass", steps=STEPS)
def main(options: Options) -> Result:
    """A chaotic series, forecast six steps ahead, learned online."""
    lesson = Lesson(tasks.load("mackey_glass"), untaught, rate=0.01, readout_rate=0.02)
    return follow(lesson, options, full=STEPS, input_as_answer="persistence")


if __name__ == "__main__":
    main()
