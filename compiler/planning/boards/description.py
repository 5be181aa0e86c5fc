"""A board as its file describes it: all that a bitstream depends on beside the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vle.compiler.circuit.link import PAYLOADS, SLOTS
from vle.compiler.planning.boards.board import Board
from vle.compiler.planning.boards.devices import DEVICES, Device

ROLES: dict[str, dict[str, str]] = {
    "uart": {"rx": "i", "tx": "o"},
    "leds": {"pins": "o"},
    "spi": {"cs": "i", "clk": "i", "copi": "i", "cipo": "o"},
    "flash": {"cs": "o", "clk": "o", "copi": "o", "cipo": "i"},
    "adc": {"cs": "o", "clk": "o", "copi": "o", "cipo": "i"},
    "i2s": {"sck": "o", "ws": "o", "sd": "i"},
    "button": {"save": "i"},
}
INVERTED = ("cs",)  # selects are low when active, on every board
TURNED = ("leds", "button")  # which may be, on a board
MOST_FLASH = 1 << 24  # bytes: the addresses of the commands that all flashes know
SECTOR, ERASED = 1 << 12, 1 << 16  # bytes of a flash that we, and that loaders erase at once
LOWEST_HZ, HIGHEST_HZ = 1_000_000, 400_000_000
LOWEST_BAUD, HIGHEST_BAUD = 1_200, 12_000_000


@dataclass(frozen=True)
class Clock:
    """The crystal, and the clock that a build aims at.

    Parameters
    ----------
    hz
        Of the crystal.
    default_hz
        Of the circuit, unless asked otherwise.
    resource
        Name in the platform class; empty where `pin` is given.
    pin
        The pin; empty where `resource` is given.
    """

    hz: int
    default_hz: int
    resource: str = ""
    pin: str = ""

    def __post_init__(self) -> None:
        if bool(self.resource) == bool(self.pin):
            raise ValueError("clock must have either a resource of the platform or a pin")
        for what, hz in (("hz", self.hz), ("default_hz", self.default_hz)):
            if not LOWEST_HZ <= hz <= HIGHEST_HZ:
                rule = f"clock.{what} must be {LOWEST_HZ}..{HIGHEST_HZ}"
                raise ValueError(f"{rule}, not {hz}")


@dataclass(frozen=True)
class Port:
    """Pins that serve one purpose.

    Parameters
    ----------
    role
        A key of `ROLES`.
    resource
        Name in the platform class; empty where `pins` are given.
    count
        Resources of that name, from number 0 on: LEDs are one each.
    pins
        Pin of each signal; several, separated by spaces, for LEDs.
    inverted
        Whether LEDs are lit, or a button is pressed, by a 0.
    """

    role: str
    resource: str = ""
    count: int = 1
    pins: Mapping[str, str] = field(default_factory=dict)
    inverted: bool = False

    def __post_init__(self) -> None:
        wanted = ROLES[self.role]
        if bool(self.resource) == bool(self.pins):
            raise ValueError(f"{self.role} must have either a resource of the platform or pins")
        if not self.resource and set(self.pins) != set(wanted):
            raise ValueError(f"{self.role} must have the pins {', '.join(wanted)}")
        if self.inverted and (self.resource or self.role not in TURNED):
            rule = f"with pins of {' or '.join(TURNED)} alone"
            raise ValueError(f"{self.role}.inverted must go {rule}")
        if not 1 <= self.count <= 8:
            raise ValueError(f"{self.role}.count must be 1..8, not {self.count}")


@dataclass(frozen=True)
class Description:
    """A board.

    Parameters
    ----------
    name
        As `--board` takes it.
    device
        A name of `vle.compiler.planning.boards.devices.DEVICES`.
    clock
        Crystal and default clock.
    ports
        By role; a UART or an SPI at least.
    platform
        ``module:Class`` of a class of Amaranth's build system; empty where all pins are given.
    package, speed, part
        Of the FPGA, where there is no platform class: package and speed grade (ECP5), package
        (iCE40), full part number (Gowin).
    attributes
        Of the pins that are given: standard, pull and the like, in the words of the FPGA's tool.
    baud
        Of the UART.
    payload_max, slots
        Sizes of the link; smaller ones take fewer memory blocks.
    loader
        What openFPGALoader calls the board.
    flash_base
        Where its flash is free, behind the bitstream: bytes, at the beginning of a sector.
    flash_size
        Bytes of its flash.
    """

    name: str
    device: str
    clock: Clock
    ports: Mapping[str, Port]
    platform: str = ""
    package: str = ""
    speed: str = ""
    part: str = ""
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    baud: int = 1_000_000
    payload_max: int = 240
    slots: int = 8
    loader: str = ""
    flash_base: int = 0x400000
    flash_size: int = MOST_FLASH

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {self.device!r}")
        needs = {"ecp5": ("package", "speed"), "ice40": ("package",), "gowin": ("part",)}
        for what in needs[self.chip.family]:
            if bool(getattr(self, what)) == bool(self.platform):
                raise ValueError(f"{what} must be given where no platform is, and only there")
        if self.platform.count(":") > 1 or (self.platform and ":" not in self.platform):
            raise ValueError(f"platform must be MODULE:CLASS, not {self.platform!r}")
        if not self.platform and (self.clock.resource or any(p.resource for p in self.all_ports)):
            raise ValueError("resources need a platform; without one, give pins")
        if not {"uart", "spi"} & set(self.ports):
            raise ValueError("a board must have a uart or an spi")
        if not LOWEST_BAUD <= self.baud <= HIGHEST_BAUD:
            raise ValueError(f"baud must be {LOWEST_BAUD}..{HIGHEST_BAUD}, not {self.baud}")
        if self.payload_max not in PAYLOADS:
            raise ValueError(f"payload_max must be 120 or 240, not {self.payload_max}")
        if "flash" in self.ports:
            self._check_flash()
        if self.slots not in SLOTS:
            raise ValueError(f"slots must be 2, 4 or 8, not {self.slots}")

    def _check_flash(self) -> None:
        """Find room for a bitstream, and for something behind it."""
        if not 0 < self.flash_size <= MOST_FLASH:
            rule = f"flash_size must be 1..{MOST_FLASH} bytes"
            raise ValueError(f"{rule}, not {self.flash_size}")
        least = -(-self.chip.bitstream_bytes // ERASED) * ERASED
        if self.flash_base % SECTOR or not least <= self.flash_base < self.flash_size:
            rule = f"flash_base must begin a sector of {SECTOR} bytes, from 0x{least:x} on, where a"
            rule += f" bitstream of {self.device} has ended, and below 0x{self.flash_size:x}"
            raise ValueError(f"{rule}, not 0x{self.flash_base:x}")

    @property
    def chip(self) -> Device:
        """The FPGA's entry in the table of devices."""
        return DEVICES[self.device]

    @property
    def all_ports(self) -> tuple[Port, ...]:
        """Ports of every role."""
        return tuple(self.ports.values())

    @property
    def board(self) -> Board:
        """What a plan needs to know of it."""
        return Board.of_device(self.name, self.device)
