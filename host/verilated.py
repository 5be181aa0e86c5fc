"""A chip in simulation: a Verilated library driven in whole-array calls."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import DeviceError, TransportError
from vle.host.beats import ERROR as IS_ERROR
from vle.host.beats import FREEZE, TARGET, Beats
from vle.host.build import library
from vle.host.transport import PROBED, Lesson

TRACE = np.dtype([(name, np.int32) for name in ("layer", "neuron", "u", "r")])
ERROR_TRACE = np.dtype([(name, np.int32) for name in ("layer", "neuron", "e", "v", "exponent")])
STREAM_PATIENCE = 2_000_000  # cycles without a beat; the longest step of a real chip is far below
REGISTER_PATIENCE = 10_000


class VerilatedChip:
    """A chip that runs in this process.

    Parameters
    ----------
    verilog
        Text of the top, as `vle-compile` writes it.
    seed
        Seed of the pauses that `stream` can make.
    optimise
        Option of the C++ compiler, see `vle.host.build.library`.
    """

    def __init__(self, verilog: str, *, seed: int = 1, optimise: str = "-O1") -> None:
        self._library = _load(library(verilog, optimise=optimise))
        self._handle = ctypes.c_void_p(self._library.chip_open(ctypes.c_uint64(seed)))
        self.frame_cycles = np.zeros(0, np.uint64)
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the chip; what is asked of it after raises `TransportError`."""
        if self._handle:
            self._library.chip_close(self._handle)
        self._handle = ctypes.c_void_p()

    @property
    def _chip(self) -> ctypes.c_void_p:
        if not self._handle:
            raise TransportError("the device is closed")
        return self._handle

    def reset(self, cycles: int = 4) -> None:
        """Hold the reset input for some cycles."""
        self._library.chip_reset(self._chip, ctypes.c_uint64(cycles))

    @property
    def cycle(self) -> int:
        """Clock cycles since the chip was opened."""
        return int(self._library.chip_cycle(self._chip))

    def stream(
        self,
        sent: Beats,
        expected: int,
        *,
        targets: Beats | None = None,
        linger: int = 0,
        gaps: float = 0.0,
        stalls: float = 0.0,
        patience: int = STREAM_PATIENCE,
    ) -> Beats:
        """Offer all beats of `sent`, whose cycles are filled in, and take `expected` ones.

        Parameters
        ----------
        sent
            What goes in.
        expected
            How many beats must come out.
        targets
            Beats of target frames, of a chip that learns; offered beside the others.
        linger
            Cycles to wait for more after that.
        gaps, stalls
            Chance of a pause after each beat, sent and taken, 0 to 1.
        patience
            Cycles without a beat after which the chip counts as stuck.

        Raises
        ------
        TransportError
            Where the chip is stuck, sends more than it can have to say, or changes a word before
            it is taken.
        """
        taken = Beats.empty(expected + linger)
        source, aim, sink = (beats.view() for beats in (sent, targets or Beats.empty(0), taken))
        code = self._library.chip_stream(
            self._chip,
            *map(ctypes.byref, (source, aim, sink)),
            *map(ctypes.c_uint64, (expected, linger)),
            *(ctypes.c_uint32(round(256 * chance)) for chance in (gaps, stalls)),
            ctypes.c_uint64(patience),
        )
        if code == 3:
            raise TransportError("the simulated chip changed a word before it was taken")
        if code == 2:
            raise TransportError(f"the simulated chip sent more than {expected + linger} words")
        if code:
            raise TransportError(
                f"the simulated chip stood still for {patience} cycles, with {source.count} of"
                f" {sent.words.size} words in and {sink.count} of {expected} out"
            )
        return taken.first(sink.count)

    def exchange(
        self, frames: NDArray[np.int32], start: NDArray[np.bool_], words: int
    ) -> NDArray[np.int32]:
        """Send raw frames `(T, inputs)` and return as many of `words` words, `(T, words)`.

        `frame_cycles` then tells when each of them was complete.
        """
        taken = self.stream(Beats.of_frames(frames, start), len(frames) * words)
        self.frame_cycles = taken.cycles[words - 1 :: words]
        return taken.frames(words)[0]

    def learn(
        self, lesson: Lesson, words: int, *, gaps: float = 0.0, stalls: float = 0.0
    ) -> NDArray[np.int32]:
        """Send frames and targets of a lesson and return as many frames of `words` words."""
        user = TARGET * lesson.has_target | FREEZE * lesson.freeze
        sent = Beats.of_frames(lesson.frames, lesson.start, user)
        targets = Beats.of_frames(lesson.targets, user=IS_ERROR * lesson.is_error)
        count = len(lesson.frames) * words
        taken = self.stream(sent, count, targets=targets, gaps=gaps, stalls=stalls)
        self.frame_cycles = taken.cycles[words - 1 :: words]
        return taken.frames(words)[0]

    def read(self, addresses: ArrayLike) -> NDArray[np.uint32]:
        """Read registers at byte addresses, one after the other."""
        return self._registers(addresses, 0, write=False)

    def write(self, addresses: ArrayLike, data: ArrayLike) -> None:
        """Write registers at byte addresses, one after the other; words of 32 bits."""
        self._registers(addresses, data, write=True)

    def _registers(
        self, addresses: ArrayLike, data: ArrayLike, *, write: bool
    ) -> NDArray[np.uint32]:
        where = np.ascontiguousarray(addresses, dtype=np.uint32).ravel()
        words = (np.broadcast_to(data, where.shape).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
        response = ctypes.c_int32()
        done = self._library.chip_registers(
            self._chip,
            ctypes.c_int(write),
            ctypes.c_void_p(where.ctypes.data),
            ctypes.c_void_p(words.ctypes.data),
            ctypes.c_uint64(where.size),
            ctypes.c_int64(REGISTER_PATIENCE),
            ctypes.byref(response),
        )
        if done < where.size:
            way, address = "write" if write else "read", int(where[done])
            if response.value < 0:
                raise TransportError(f"no answer to a {way} at 0x{address:x}")
            raise DeviceError(f"{way} was refused", address=address)
        return words

    def take_trace(self) -> NDArray[Any]:
        """Rows `layer, neuron, u, r` recorded since the last call, of a top with trace ports."""
        return self._take("trace", TRACE)

    def take_errors(self) -> NDArray[Any]:
        """Rows `layer, neuron, e, v, exponent`, likewise, of a top that learns."""
        return self._take("error", ERROR_TRACE)

    def take_probes(self) -> NDArray[Any]:
        """Words of probes that have come since the last call, as they came."""
        return self._take("probe", PROBED)

    def stall_probes(self, chance: float) -> None:
        """From now on pause after each word of a probe, with a chance of 0 to 1."""
        self._library.chip_probe_stalls(self._chip, ctypes.c_uint32(round(256 * chance)))

    def _take(self, what: str, rows: np.dtype[Any]) -> NDArray[Any]:
        found = np.empty(getattr(self._library, f"chip_{what}_count")(self._chip), rows)
        getattr(self._library, f"chip_{what}_take")(self._chip, ctypes.c_void_p(found.ctypes.data))
        return found


def _load(path: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(path))
    loaded.chip_open.restype = ctypes.c_void_p
    counts = [f"chip_{what}_count" for what in ("trace", "error", "probe")]
    for name in ("chip_cycle", "chip_registers", *counts):
        getattr(loaded, name).restype = ctypes.c_uint64
    return loaded
