"""An SPI master as a line of bytes."""

from __future__ import annotations

import time
from typing import Any, Protocol

from vle.errors import TransportError
from vle.host.link.line import Timing

MOST = 4096  # bytes of a transfer, as many as the Linux driver takes
IDLE = 64  # zeros that are clocked at a time while nothing comes
TIMING = Timing(retry=0.05, silence=2.0, patience=10.0)


class Spi(Protocol):
    """What is needed of an SPI master: `xfer2` of spidev."""

    def xfer2(self, data: list[int]) -> Any:
        """Send bytes, return as many that came meanwhile."""


class SpiLine:
    """A device behind an SPI master; both sides send zeros when they have nothing to say.

    Parameters
    ----------
    spi
        The master, set to mode 0 and a rate; closed with the line where it has a `close`.
    name
        What a user calls it.
    """

    timing = TIMING

    def __init__(self, spi: Spi, name: str = "spi") -> None:
        self._spi, self.name = spi, name
        self._come, self._ended = bytearray(), True

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def write(self, data: bytes) -> None:
        """Send bytes, and keep what comes meanwhile."""
        for at in range(0, len(data), MOST):
            try:
                got = bytes(self._spi.xfer2(list(data[at : at + MOST])))
            except OSError as error:
                raise TransportError(f"{self.name}: the bus is gone ({error})") from error
            self._come += got if any(got) else got[: not self._ended]  # a zero ends a frame
            self._ended = not got[-1]

    def read(self, seconds: float) -> bytes:
        """Return what has come, and clock zeros until something does."""
        end = self.now() + seconds
        while not self._come:
            self.write(bytes(IDLE))
            if self.now() >= end:
                break
        got = bytes(self._come)
        self._come.clear()
        return got

    def close(self) -> None:
        """Let go of the master."""
        close = getattr(self._spi, "close", None)
        if close is not None:
            close()


def spidev_line(path: str, hz: int) -> SpiLine:
    """Open ``/dev/spidevBUS.SELECT`` with the package spidev.

    Raises
    ------
    TransportError
        Where the package, or the bus, is not there.
    """
    numbers = path.removeprefix("/dev/spidev").split(".")
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise TransportError(f"an SPI must be of the form /dev/spidev0.0, not {path!r}")
    try:
        import spidev  # noqa: PLC0415 - only on machines that have such a bus
    except ModuleNotFoundError as error:
        raise TransportError("an SPI of this machine needs spidev: pip install spidev") from error
    try:
        spi = spidev.SpiDev(*map(int, numbers))
        spi.mode, spi.max_speed_hz = 0, hz
    except OSError as error:
        raise TransportError(f"{path} cannot be opened: {error}") from error
    return SpiLine(spi, path)
