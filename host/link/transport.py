"""The link as a driver's way to a chip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import TransportError, VleError
from vle.host.bundle import Bundle
from vle.host.link.records import WordBytes, payloads, words_of
from vle.host.link.requests import Registers
from vle.host.link.session import Session
from vle.host.transport import PROBED, Lesson


class LinkTransport:
    """Frames and registers of a chip behind a session.

    Calls of several threads come one after the other. One that is interrupted, by Ctrl-C say,
    leaves steps under way, and one that gets answers nobody has asked for cannot tell which are
    its own: the next one begins a new session, with the state of the chip at 0.

    Parameters
    ----------
    session
        The session.
    size
        Bytes of words.
    """

    def __init__(self, session: Session, size: WordBytes) -> None:
        self.session, self._size = session, size
        self._registers = Registers(session)
        self._lock, self._interrupted, self._closed = Lock(), False, False

    @classmethod
    def of(cls, session: Session, bundle: Bundle) -> Self:
        """Take the sizes of words from a bundle."""
        return cls(session, WordBytes.of(bundle))

    def drop(self) -> None:
        """Take answers to steps of before, and probes, and forget them."""
        with self._whole():
            self.session.settle()
            self.session.incoming.outputs.clear()
            self.session.incoming.probes.clear()

    def exchange(
        self, frames: NDArray[np.int32], start: NDArray[np.bool_], words: int
    ) -> NDArray[np.int32]:
        """Send raw frames `(T, inputs)`, return as many of `words` raw words, `(T, words)`."""
        none = np.zeros(len(frames), np.bool_)
        lesson = Lesson(frames, start, none, none, np.zeros((0, words), np.int32), none[:0])
        return self.learn(lesson, words)

    def learn(self, lesson: Lesson, words: int) -> NDArray[np.int32]:
        """Send frames and targets of a lesson and return as many frames of `words` words."""
        needed = len(lesson.frames) * words * self._size.output
        with self._whole():
            outputs = self.session.incoming.outputs
            self.session.put(payloads(lesson, self._size, self.session.limits.payload))
            self.session.until(lambda: len(outputs) >= needed, waiting=True)
            if len(outputs) > needed:
                self._interrupted = True  # which of them are the answers, nobody knows
                raise TransportError(f"the chip sent more than {len(lesson.frames)} frames")
            found = words_of(outputs, self._size.output).reshape(-1, words)
            outputs.clear()
        return found

    def listen(self, count: int, words: int, seconds: float | None) -> NDArray[np.int32]:
        """Return the next answers to frames that others sent, `(count, words)`."""
        needed = count * words * self._size.output
        with self._whole():
            outputs, line = self.session.incoming.outputs, self.session.line
            deadline = None if seconds is None else line.now() + seconds
            self.session.until(lambda: len(outputs) >= needed, waiting=True, deadline=deadline)
            if len(outputs) < needed:
                came = len(outputs) // (words * self._size.output)
                text = f"{line.name}: {came} of {count} answers have come within {seconds:g} s"
                raise TransportError(text)
            found = words_of(outputs[:needed], self._size.output).reshape(-1, words)
            del outputs[:needed]
        return found

    def take_probes(self) -> NDArray[Any]:
        """Return words of probes that have come since the last call, in their order."""
        with self._whole():
            self.session.settle()
            probes = self.session.incoming.probes
            whole = len(probes) // PROBED.itemsize * PROBED.itemsize
            found = np.frombuffer(bytes(probes[:whole]), PROBED)
            del probes[:whole]
        return found

    def read(self, addresses: ArrayLike) -> NDArray[np.uint32]:
        """Read registers at byte addresses."""
        with self._whole():
            return self._registers.read(addresses)

    def write(self, addresses: ArrayLike, data: ArrayLike) -> None:
        """Write registers at byte addresses, from the lowest to the highest."""
        with self._whole():
            self._registers.write(addresses, data)

    def close(self) -> None:
        """Let go of the line."""
        if not self._closed:
            self._closed = True
            self.session.end()
            self.session.line.close()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Make a call that is done whole, or fails, or is interrupted."""
        with self._lock:
            if self._closed:
                raise TransportError("the device is closed")
            if self._interrupted:
                self.session.begin(clear=True)
                self._interrupted = False
            try:
                yield
            except VleError:
                raise
            except BaseException:
                self._interrupted = True
                raise
