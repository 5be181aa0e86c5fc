"""LagNet: a network 2-8-8-2 learns to do what another one does, whose lags it has not.

python examples/learning/lagnet.py [--seeds 3] [--steps 480000] [--chip 500]
"""

from __future__ import annotations

import numpy as np
from follow import follow
from forecast import Lesson
from networks import network
from program import Options, Result, program

from vle.sim import Network, tasks

STEPS = 480_000
TAU_M, TAU_R = np.repeat([0.2, 0.4, 0.8, 1.6], 2), 0.2


def untaught(seed: int) -> Network:
    """2-8-8-2 with four time constants, two neurons each."""
    taus = [(TAU_M, TAU_R), (TAU_M, TAU_R), (0.4, TAU_R)]
    return network([2, 8, 8, 2], taus, 0.1, seed=seed, scale=1.5)


@program("lagnet", steps=STEPS)
def main(options: Options) -> Result:
    """A network learns to do what another one does, whose lags it has not."""
    lesson = Lesson(tasks.load("lagnet"), untaught, rate=0.01, readout_rate=0.02)
    return follow(lesson, options, full=STEPS, input_as_answer="input as answer")


if __name__ == "__main__":
    main()
