"""The driver: a chip, on a board or in simulation, behind one interface."""

from vle.host.device import Device, Parameters, State
from vle.host.open import open_device

__all__ = ["Device", "Parameters", "State", "open_device"]
