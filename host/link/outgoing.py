"""Stream frames to the device: kept until they are acknowledged, sent again from there on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from vle.host.link.timer import Timer

SEQUENCE = 256
FEWEST, GROWTH = 4, 0.25  # frames under way where many are lost; more for each that is not


class Outgoing:
    """The sender of go-back-N, with fewer frames under way the more of them are lost.

    Parameters
    ----------
    slots
        Frames that the device can hold.
    retry
        Seconds without an acknowledgement before all is sent again.

    Members
    -------
    sent, resent
        Frames sent, and those of them that were sent before.
    """

    def __init__(self, slots: int, retry: float) -> None:
        self._slots = self._room = slots
        self._window = float(slots)
        self._queue: deque[bytes] = deque()  # from the first that is not acknowledged
        self._base = self._next = self._highest = 0  # counted from the beginning, not modulo
        self.timer = Timer(retry)
        self.sent = self.resent = 0

    def put(self, payloads: Iterable[bytes]) -> None:
        """Add frames to be sent."""
        self._queue.extend(payloads)

    @property
    def empty(self) -> bool:
        """Whether all that was put is acknowledged."""
        return not self._queue

    @property
    def blocked(self) -> bool:
        """Whether something is to be sent, nothing is on its way, and there is no room."""
        return bool(self._queue) and self._next == self._base and not self._room

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """Return frames that may go now, `seq` and payload; they count as sent."""
        end = self._base + min(int(self._window), self._room, len(self._queue))
        places = range(self._next, end)
        found = [(index % SEQUENCE, self._queue[index - self._base]) for index in places]
        if found:
            if self._next == self._base < self._highest:
                self.timer.again(now)
            elif self._next == self._base:
                self.timer.start(now)
            self.sent += len(found)
            self.resent += max(0, min(end, self._highest) - self._next)
            self._next = end
            self._highest = max(self._highest, end)
        return found

    def acknowledged(self, ack: int, room: int, now: float) -> bool:
        """Hear how far the device has come; return whether that is further than before."""
        count = (ack - self._base) % SEQUENCE
        if count > self._highest - self._base:
            return False  # of long ago
        self._room = room
        if not count:
            return False
        for _ in range(count):
            self._queue.popleft()
        self._base += count
        self._window = min(self._slots, self._window + GROWTH * count)
        self._next = max(self._next, self._base)
        if self._next > self._base:
            self.timer.start(now)
        else:
            self.timer.stop()
        return True

    def go_back(self) -> None:
        """Send again from the first one on, as the device has missed it."""
        self._next = self._base
        self._window = max(min(FEWEST, self._slots), self._window / 2)

    def check(self, now: float) -> None:
        """Likewise where nothing was acknowledged in time."""
        if now >= self.timer.due:
            self.go_back()
