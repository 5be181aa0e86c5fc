"""Layers with these dynamics as `torch.nn.Module`: a shell over `vle.sim.dynamics` (docs/torch.md).

Needs the extra `torch`; nothing else in `vle` imports this package.
"""

from vle.sim.pytorch.layer import LatentLayer
from vle.sim.pytorch.network import LatentNetwork

__all__ = ["LatentLayer", "LatentNetwork"]
