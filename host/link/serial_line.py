"""A serial port as a line of bytes."""

from __future__ import annotations

import errno
import time
from contextlib import suppress

import serial

from vle.errors import TransportError
from vle.host.link.line import Timing

WINDOW = 8 * 256  # bytes under way at most, of the largest device
BITS = 10  # on the line for a byte
SLICE = 0.01  # seconds that a read of the port waits at a time
WRITE_SECONDS = 5.0
BUSY = (errno.EWOULDBLOCK, errno.EBUSY, errno.EACCES)


def timing_of(baud: float) -> Timing:
    """Return how long to wait at a rate: a window there and an answer back, and a USB adapter."""
    retry = 0.05 + 2 * WINDOW * BITS / baud
    return Timing(retry, max(2.0, 12 * retry), max(10.0, 24 * retry))


class SerialLine:
    """A serial port that this process has to itself.

    Parameters
    ----------
    port
        As the operating system names it.
    baud
        Bits per second.

    Raises
    ------
    TransportError
        Where it cannot be opened, or another program has it.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.name, self.timing = f"{port} at {baud} baud", timing_of(baud)
        self._port = self._opened(port, baud)
        with suppress(AttributeError, NotImplementedError, ValueError, OSError):
            self._port.set_low_latency_mode(True)  # else some adapters wait 16 ms

    @staticmethod
    def _opened(port: str, baud: int) -> serial.Serial:
        options = {"timeout": SLICE, "write_timeout": WRITE_SECONDS, "exclusive": True}
        try:
            return serial.Serial(port, baud, **options)
        except OSError as error:
            if error.errno in BUSY and "lock" in str(error):
                raise TransportError(f"{port}: another program is using it") from error
            raise TransportError(f"{port} cannot be opened: {error}") from error
        except Exception as error:  # termios.error where it is no port, ValueError for a rate
            raise TransportError(
                f"{port} must be a serial port with {baud} baud: {error}"
            ) from error

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise TransportError(f"{self.name}: takes no bytes for {WRITE_SECONDS:g} s") from error
        except (OSError, TypeError) as error:
            raise self._gone(error) from error

    def read(self, seconds: float) -> bytes:
        """Return what has come, at the latest after some seconds."""
        end = time.monotonic() + seconds
        try:
            while not (data := self._port.read(1)):
                if time.monotonic() >= end:
                    return b""
            return bytes(data + self._port.read(self._port.in_waiting))
        except (OSError, TypeError) as error:  # TypeError: the port was closed under its feet
            raise self._gone(error) from error

    def close(self) -> None:
        """Let go of the port."""
        with suppress(OSError):
            self._port.close()

    def _gone(self, error: Exception) -> TransportError:
        return TransportError(f"{self.name}: the port is gone, is the cable pulled? ({error})")
