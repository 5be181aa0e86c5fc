"""Registers and memories over a session: runs of addresses, each a request."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import DeviceError, TransportError
from vle.host.link.session import Session

WORD, HEAD = 4, 6  # bytes of a word, and of a request before its words
WRITE = 1


class Registers:
    """Words at byte addresses.

    Parameters
    ----------
    session
        Where requests go.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, addresses: ArrayLike) -> NDArray[np.uint32]:
        """Read words at byte addresses."""
        where = np.asarray(addresses, np.int64).ravel()
        order = np.argsort(where, kind="stable")
        words = np.empty(where.size, np.uint32)
        for part in self._runs(where, order):
            data = self._request(int(where[part[0]]), len(part), None)
            words[part] = np.frombuffer(data, "<u4")
        return words

    def write(self, addresses: ArrayLike, data: ArrayLike) -> None:
        """Write words at byte addresses, from the lowest to the highest."""
        where = np.asarray(addresses, np.int64).ravel()
        words = np.broadcast_to(data, where.shape).astype(np.int64).astype("<u4")
        for part in self._runs(where, np.argsort(where, kind="stable")):
            self._request(int(where[part[0]]), len(part), words[part].tobytes())

    def _runs(
        self, where: NDArray[np.int64], order: NDArray[np.intp]
    ) -> Iterator[NDArray[np.intp]]:
        """Split places, in an order, into runs of neighbours that fit a request."""
        most = (self._session.limits.payload - HEAD) // WORD
        breaks = np.flatnonzero(np.diff(where[order]) != WORD) + 1
        for run in np.split(order, breaks):
            yield from (run[at : at + most] for at in range(0, len(run), most))

    def _request(self, address: int, count: int, words: bytes | None) -> bytes:
        """Make accesses from an address on; return what was read."""
        flags = WRITE * (words is not None)
        head = bytes((flags, count)) + address.to_bytes(WORD, "little")
        answer = self._session.request(head + (words or b""))
        if len(answer) < 3 or answer[0] != flags or not 0 < answer[1] <= count:
            raise TransportError(f"an answer to a request must fit it, not be {answer.hex()}")
        if answer[2]:
            way = "read" if words is None else "write"
            at = address + WORD * (answer[1] - 1)
            raise DeviceError(f"{way} was refused", address=at)
        if words is None and len(answer) != 3 + WORD * count:
            raise TransportError(f"an answer must have {count} words, not {len(answer) - 3} bytes")
        return answer[3:]
