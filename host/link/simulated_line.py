"""A simulated device as a line of bytes: a Verilated library, driven in whole-array calls."""

from __future__ import annotations

import ctypes

import numpy as np

from vle.errors import TransportError
from vle.host.build import library
from vle.host.link.line import Timing

HZ = 1_000_000  # of the clock by which time-outs count: the line has no other time than cycles
TIMING = Timing(retry=0.005, silence=0.5, patience=4.0)  # 4 million cycles
ROOM = 1 << 16  # bytes that a call can return
MUCH, DEAF = 128, 1024  # bytes that are more than a request, cycles to let answers to them gather


class SimulatedLine:
    """A device that runs in this process, as fast as it can, and only while someone waits for it.

    Parameters
    ----------
    top, device
        Texts of `top.v` and `device.v` of a bundle.
    optimise
        Option of the C++ compiler, see `vle.host.build.library`.
    """

    name, timing = "the simulated device", TIMING

    def __init__(self, top: str, device: str, *, optimise: str = "-O1") -> None:
        self._library = ctypes.CDLL(str(library(top, device=device, optimise=optimise)))
        self._library.device_open.restype = ctypes.c_void_p
        for name in ("device_cycle", "device_run"):
            getattr(self._library, name).restype = ctypes.c_uint64
        self._handle = ctypes.c_void_p(self._library.device_open())
        self._going, self._taken, self._got = b"", 0, 0
        self._come = np.empty(ROOM, np.uint8)
        self.reset()

    @property
    def _device(self) -> ctypes.c_void_p:
        if not self._handle:
            raise TransportError("the device is closed")
        return self._handle

    @property
    def cycle(self) -> int:
        """Clock cycles since the device was opened."""
        return int(self._library.device_cycle(self._device))

    def reset(self, cycles: int = 4) -> None:
        """Hold the reset input for some cycles."""
        self._library.device_reset(self._device, ctypes.c_uint64(cycles))

    def now(self) -> float:
        """Seconds: cycles at a million per second."""
        return self.cycle / HZ

    def write(self, data: bytes) -> None:
        """Send bytes, in the next call of `read`."""
        self._going = self._going[self._taken :] + data
        self._taken = 0

    def read(self, seconds: float) -> bytes:
        """Run until all is sent and a frame has come, at the longest for some seconds."""
        taken, busy = ctypes.c_uint64(self._taken), max(len(self._going), self._got) > MUCH
        count = self._library.device_run(
            self._device,
            ctypes.c_char_p(self._going),
            ctypes.c_uint64(len(self._going)),
            ctypes.byref(taken),
            ctypes.c_void_p(self._come.ctypes.data),
            ctypes.c_uint64(ROOM),
            ctypes.c_uint64(DEAF * busy),
            ctypes.c_uint64(max(1, round(seconds * HZ))),
        )
        self._got = int(count)
        self._taken = taken.value
        return self._come[:count].tobytes()

    def close(self) -> None:
        """Free the device."""
        if self._handle:
            self._library.device_close(self._handle)
        self._handle = ctypes.c_void_p()
