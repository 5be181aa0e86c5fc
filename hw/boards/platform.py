"""From the description of a board to a platform of Amaranth's build system."""

from __future__ import annotations

import importlib

from amaranth.build import Attrs, Clock, Pins, PinsN, Platform, Resource, Subsignal
from amaranth.vendor import GowinPlatform, LatticeECP5Platform, LatticeICE40Platform

from vle.compiler.planning.boards.description import INVERTED, ROLES, Description, Port
from vle.compiler.planning.choices import Choices
from vle.errors import CompileError
from vle.hw.families.ecp5 import ECP5
from vle.hw.families.gowin import Gowin
from vle.hw.families.ice40 import ICE40

HOOKS = {"ecp5": ECP5, "ice40": ICE40, "gowin": Gowin}
VENDORS = {"ecp5": LatticeECP5Platform, "ice40": LatticeICE40Platform, "gowin": GowinPlatform}
PREFIX = "vle_"  # of resources that a board's file adds to those of its platform class


def platform_of(description: Description, choices: Choices | None = None) -> Platform:
    """Return a fresh platform with the primitives of the board's family.

    Parameters
    ----------
    description
        The board.
    choices
        What the plan has chosen for the chip that goes on it.

    Raises
    ------
    CompileError
        If its class cannot be found.
    """
    family = description.chip.family
    base = _named(description.platform) if description.platform else _given(description)
    if not issubclass(base, VENDORS[family]):
        rule = f"platform must be of the family of {description.device}"
        raise CompileError(f"board {description.name}: {rule}, not {description.platform}")
    platform = type(base.__name__, (HOOKS[family], base), {"choices": choices or Choices()})()
    platform.add_resources(_added(description))
    return platform


def resource_name(port: Port) -> str:
    """Name under which a port's pins are in the platform."""
    return port.resource or PREFIX + port.role


def clock_name(description: Description) -> str:
    """Name under which the crystal's pin is in the platform."""
    return description.clock.resource or PREFIX + "clock"


def _named(path: str) -> type:
    """Import ``module:Class``."""
    module, name = path.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise CompileError(f"platform {path} cannot be found: {error}") from error


def _given(description: Description) -> type:
    """Make a platform class that has no pins of its own."""
    chip = {
        "ecp5": {
            "device": description.device,
            "package": description.package,
            "speed": description.speed,
        },
        "ice40": {"device": description.device, "package": description.package},
        "gowin": {"part": description.part, "family": description.device},
    }[description.chip.family]
    nothing: dict[str, object] = {"resources": [], "connectors": [], "default_clk": None}
    return type("Given", (VENDORS[description.chip.family],), chip | nothing)


def _added(description: Description) -> list[Resource]:
    """Resources of the pins that the file gives itself."""
    attributes = Attrs(**description.attributes)
    clock, found = description.clock, []
    if clock.pin:
        pin = Pins(clock.pin, dir="i", assert_width=1)
        found.append(Resource(PREFIX + "clock", 0, pin, Clock(clock.hz), attributes))
    for role, port in description.ports.items():
        if role == "leds" and port.pins:
            found += [
                Resource(PREFIX + role, n, Pins(pin, dir="o", invert=port.inverted), attributes)
                for n, pin in enumerate(port.pins["pins"].split())
            ]
        elif port.pins:
            signals = [_signal(port, name, pin) for name, pin in port.pins.items()]
            found.append(Resource(PREFIX + role, 0, *signals, attributes))
    return found


def _signal(port: Port, name: str, pin: str) -> Subsignal:
    kind = PinsN if name in INVERTED or port.inverted else Pins
    return Subsignal(name, kind(pin, dir=ROLES[port.role][name], assert_width=1))
