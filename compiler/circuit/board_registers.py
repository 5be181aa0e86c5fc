"""Registers of a board beside those of its chip: who it is, its clock, sensors, what it keeps."""

from __future__ import annotations

from typing import Any

from vle.compiler.circuit.registers import Register

BOARD_BASE = 0x8000_0000  # byte address; a host's addresses from here on are the board's
BOARD_BITS = 5  # of word addresses of a board
BOARD_ID = 0x564C4542  # "VLEB"
SHELL_VERSION = 1
CHANNELS = 8  # of which a sensor's list can name
SENSORS = {"none": 0, "adc": 1, "microphone": 2}  # lowest bits of SENSOR_KIND
COMMANDS = {"save": 1, "load": 2, "forget": 3}  # words to write to FLASH_COMMAND
FLASH_STATUS = ("busy", "kept", "failed", "loaded", "slot")


def _at(byte: int, name: str, access: str = "r", bits: tuple[str, ...] = ()) -> Register:
    return Register(name, (BOARD_BASE + byte) // 4, access, bits)


SHELL_REGISTERS = (
    _at(0x00, "BOARD_ID"),
    _at(0x04, "SHELL_VERSION"),
    _at(0x08, "CLOCK_HZ"),
    _at(0x0C, "DAMAGED"),
)
TIMER_REGISTERS = (
    _at(0x10, "PERIOD", "rw"),
    _at(0x14, "TICKS"),
    _at(0x18, "OVERRUNS"),
)
SENSOR_REGISTERS = (
    _at(0x20, "SENSOR_CTRL", "rw", ("enable", "freeze", "begin")),
    _at(0x24, "SENSOR_SHIFT", "rw"),
    _at(0x28, "SENSOR_KIND"),
    _at(0x2C, "SENSOR_CHANNELS", "rw"),
    _at(0x30, "SENSOR_OFFSET", "rw"),
    _at(0x34, "SENSOR_FRAMES"),
)
FLASH_REGISTERS = (
    _at(0x40, "FLASH_COMMAND", "rw"),
    _at(0x44, "FLASH_STATUS", "r", FLASH_STATUS),
    _at(0x48, "FLASH_SEQUENCE"),
    _at(0x4C, "FLASH_WORDS"),
)
BOARD_REGISTERS = (*SHELL_REGISTERS, *TIMER_REGISTERS, *SENSOR_REGISTERS, *FLASH_REGISTERS)


def board_register(name: str) -> Register:
    """Find a register of a board by its name.

    Raises
    ------
    KeyError
        Where there is none.
    """
    for register in BOARD_REGISTERS:
        if register.name == name:
            return register
    raise KeyError(name)


def board_json() -> list[dict[str, Any]]:
    """Return the registers as plain data, addresses in words as those of a chip."""
    return [
        {"name": r.name, "address": r.address, "access": r.access, "bits": r.bits}
        for r in BOARD_REGISTERS
    ]
