"""Pins of a board as plain signals."""

from __future__ import annotations

from amaranth.build import Platform
from amaranth.build.res import ResourceError
from amaranth.hdl import Module, Signal
from amaranth.lib import io

from vle.compiler.planning.boards.description import ROLES, Description
from vle.errors import CompileError
from vle.hw.boards.platform import resource_name

IDLE = {"flash": ("wp", "hold")}  # pins that must not float, and are never active


def request(
    m: Module, platform: Platform, description: Description, role: str
) -> dict[str, Signal]:
    """Ask for the pins of a role, and put buffers before them.

    Returns
    -------
    A signal for each pin that the board has, active high: what the pin says, or what it is to say;
    of the latter, `NAME_enable` too, which is 1 where nothing drives it.

    Raises
    ------
    CompileError
        If the platform has no such pins.
    """
    name = resource_name(description.ports[role])
    try:
        pins = platform.request(name, 0, dir="-")
    except ResourceError as error:
        raise CompileError(f"board {description.name}: {role} cannot be had: {error}") from error
    found = {}
    for name, direction in ROLES[role].items():
        # a button of a platform is a pin by itself; a flash's clock may have none of its own
        port = pins if isinstance(pins, io.PortLike) else getattr(pins, name, None)
        if port is not None:
            m.submodules[f"{role}_{name}"] = buffer = io.Buffer(direction, port)
            found[name] = buffer.i if direction == "i" else buffer.o
            if direction == "o":
                found[f"{name}_enable"] = buffer.oe
    for name in IDLE.get(role, ()):
        port = getattr(pins, name, None)
        if port is not None:  # what drives it is 0: not active
            m.submodules[f"{role}_{name}"] = io.Buffer("o", port)
    return found


def request_leds(m: Module, platform: Platform, description: Description) -> list[Signal]:
    """Ask for the LEDs that the board has, in their order; a 1 lights one."""
    if "leds" not in description.ports:
        return []
    port, lights = description.ports["leds"], []
    count = len(port.pins["pins"].split()) if port.pins else port.count
    for number in range(count):
        pin = platform.request(resource_name(port), number, dir="-")
        m.submodules[f"led{number}"] = buffer = io.Buffer("o", pin)
        lights.append(buffer.o)
    return lights
