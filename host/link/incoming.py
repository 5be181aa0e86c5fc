"""Stream frames from the device: taken in their order, asked for again where one is missing."""

from __future__ import annotations

from vle.host.link.frames import Frame, Kind
from vle.host.link.timer import Timer

SEQUENCE, AHEAD = 256, 128


class Incoming:
    """The receiver of go-back-N.

    Parameters
    ----------
    slots
        Frames that the device keeps.
    retry
        Seconds without a frame that should come before it is asked for.

    Members
    -------
    outputs, probes
        Bytes that have come and were not taken.
    expected
        `seq` of the next frame.
    taken, repeated
        Frames that were taken, and those that had come before.
    """

    def __init__(self, slots: int, retry: float) -> None:
        self.outputs, self.probes = bytearray(), bytearray()
        self.expected = self.taken = self.repeated = 0
        self.timer = Timer(retry)
        self._often = max(1, slots // 2)
        self._unsaid = 0
        self._missing, self._dropped = False, -1

    def take(self, frame: Frame, now: float) -> bool:
        """Take a frame where it is the one expected; return whether it was."""
        if frame.seq == self.expected:
            self.expected = (self.expected + 1) % SEQUENCE
            self.taken += 1
            self._unsaid += 1
            self._missing, self._dropped = False, -1
            self.timer.start(now)
            (self.outputs if frame.kind == Kind.OUTPUT else self.probes).extend(frame.payload)
            return True
        if (frame.seq - self.expected) % SEQUENCE < AHEAD:
            in_order = frame.seq == (self._dropped + 1) % SEQUENCE and self._dropped >= 0
            self._missing, self._dropped = self._missing or not in_order, frame.seq
        else:
            self.repeated += 1
        return False

    def said(self) -> None:
        """Hear that a frame has gone out, which tells the device what is expected."""
        self._unsaid = 0

    @property
    def must_say(self) -> bool:
        """Whether the device may soon wait for an acknowledgement."""
        return self._unsaid >= self._often

    def resend(self, now: float, *, waiting: bool) -> bool:
        """Whether frames are to be asked for now; they count as asked for."""
        late = waiting and now >= self.timer.due
        if late:
            self.timer.again(now)
        if not late and not self._missing:
            return False
        self._missing = False
        return True
