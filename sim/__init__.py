"""The float reference: dynamics, networks, exact and local gradients, tasks and training."""

from vle.sim.activations import Activation
from vle.sim.layer import Layer
from vle.sim.network import Network

__all__ = ["Activation", "Layer", "Network"]
