"""The driver: a chip, on a board or in simulation, behind one interface."""

from vle.host.device import Device
from vle.host.open import open_device
from vle.host.parameters import Parameters
from vle.host.probing import Probe, Probed
from vle.host.programming import program
from vle.host.snapshot import Snapshot
from vle.host.state import State

__all__ = [
    "Device",
    "Parameters",
    "Probe",
    "Probed",
    "Snapshot",
    "State",
    "open_device",
    "program",
]
