"""A session with a device: nothing lost, nothing doubled, and no waiting without end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress

from vle.errors import TransportError, VleError
from vle.host.link.frames import VERSION, Decoder, Frame, Kind, encode
from vle.host.link.handshake import hello
from vle.host.link.incoming import Incoming
from vle.host.link.line import ByteStream
from vle.host.link.outgoing import SEQUENCE, Outgoing
from vle.host.link.timer import Timer


class Session:
    """A session over a line, which begins here.

    Parameters
    ----------
    line
        Where the bytes go.
    clear
        Whether the chip is to be cleared: state 0, what was learned stays.
    number
        Of the session; None: at random.

    Raises
    ------
    TransportError
        Where no device answers in time.
    DeviceError
        Where it speaks another version of the link.
    """

    def __init__(self, line: ByteStream, *, clear: bool = True, number: int | None = None) -> None:
        self.line, self._timing = line, line.timing
        self._decoder = Decoder()
        self._over: str | None = None
        self.begin(clear=clear, number=number)

    def begin(self, *, clear: bool = True, number: int | None = None) -> None:
        """Begin anew; all that is under way is forgotten on both sides."""
        self._over = "it has not begun"
        self.number = 1 + secrets.randbelow(255) if number is None else number
        try:
            self.limits = hello(self.line, self._decoder, self.number, clear=clear)
        except VleError as error:
            self._over = str(error)
            raise
        self._over = None
        self.outgoing = Outgoing(self.limits.slots_in, self._timing.retry)
        self.incoming = Incoming(self.limits.slots_out, self._timing.retry)
        self._request: bytes | None = None
        self._response: bytes | None = None
        self._request_seq, self._request_timer = 0, Timer(self._timing.retry)
        self._asked = False
        self._polls = 0

    def end(self) -> None:
        """End it, so that a device that needs no host goes on alone."""
        if self._over is None:
            self._over = "it was closed"
            with suppress(TransportError):
                self.line.write(encode(Frame(Kind.HELLO, 0, payload=bytes((VERSION, 0)))))

    @property
    def damaged(self) -> int:
        """Blocks of bytes that came and were no frame."""
        return self._decoder.damaged

    def request(self, payload: bytes) -> bytes:
        """Return the device's answer to a request."""
        self._request_seq = (self._request_seq + 1) % SEQUENCE
        self._request, self._response, self._asked = payload, None, False
        self._request_timer.due = self.line.now()
        self.until(lambda: self._response is not None)
        assert self._response is not None
        return self._response

    def put(self, payloads: Iterable[bytes]) -> None:
        """Add stream frames, which go out in `until`."""
        self.outgoing.put(payloads)

    def settle(self, quiet: int = 2) -> None:
        """Take what the device still has to say: until it is asked twice and has nothing.

        One that its sensor keeps talking is heard for the time of patience and no longer.
        """
        end = self.line.now() + self._timing.patience
        while quiet and self.line.now() < end:
            before, polls = self.incoming.taken, self._polls
            self.incoming.timer.due = self.line.now()
            self.until(lambda at=polls: self._polls > at, waiting=True)  # type: ignore[misc]
            quiet = quiet - 1 if self.incoming.taken == before else 2

    def until(
        self, done: Callable[[], bool], *, waiting: bool = False, deadline: float | None = None
    ) -> None:
        """Send and take frames until something is so.

        Parameters
        ----------
        done
            Whether it is.
        waiting
            Whether that needs stream frames to come.
        deadline
            When to leave off, by the clock of the line; None: where nothing has moved for the time
            of patience, which is an error.

        Raises
        ------
        TransportError
            Where the line is gone, the device is silent, was reset or taken, or nothing moves.
        """
        if self._over is not None:
            raise TransportError(f"the session is over, open the device again: {self._over}")
        try:
            self._pump(done, waiting, deadline)
        except TransportError as error:
            self._over = str(error)
            raise

    def _pump(self, done: Callable[[], bool], waiting: bool, deadline: float | None) -> None:
        now = heard = moved = self.line.now()
        patience = self._timing.patience if deadline is None else float("inf")
        if waiting and now < self.incoming.timer.due:
            self.incoming.timer.start(now)
        while not done() and (deadline is None or now < deadline):
            wait = waiting or self.outgoing.blocked
            self._send(now, wait)
            timers = [self.outgoing.timer.due, self._request_timer.due]
            timers += [self.incoming.timer.due] if wait else []
            timers += [] if deadline is None else [deadline]
            end = min(*timers, heard + self._timing.silence, moved + patience)
            frames = self._hear(max(0.0, end - now))
            now = self.line.now()
            if frames:
                heard = now
            for frame in frames:
                moved = now if self._take(frame, now) else moved
            if now - heard >= self._timing.silence:
                raise TransportError(self._silent(now - heard))
            if now - moved >= patience:
                raise TransportError(self._stuck(now - moved))

    def _send(self, now: float, waiting: bool) -> None:
        """Send all that may go now, as one piece."""
        self.outgoing.check(now)
        frames = [(Kind.STEPS, *frame) for frame in self.outgoing.due(now)]
        if self._request is not None and now >= self._request_timer.due:
            frames.append((Kind.REQUEST, self._request_seq, self._request))
            if self._asked:  # it may take long: is anybody there?
                frames.append((Kind.RESEND, 0, b""))
            self._asked = True
            self._request_timer.again(now)
        if self.incoming.resend(now, waiting=waiting):
            frames.append((Kind.RESEND, 0, b""))
        elif not frames and self.incoming.must_say:
            frames.append((Kind.ACK, 0, b""))
        if frames:
            ack = self.incoming.expected
            made = (Frame(kind, self.number, seq, ack, data) for kind, seq, data in frames)
            self.line.write(b"".join(map(encode, made)))
            self.incoming.said()

    def _hear(self, seconds: float) -> list[Frame]:
        return self._decoder.feed(self.line.read(seconds))

    def _take(self, frame: Frame, now: float) -> bool:
        """Take a frame; return whether anything has moved on by it."""
        if frame.kind == Kind.REFUSED:
            self._refused(frame)
            return False
        if frame.session != self.number or frame.kind == Kind.WELCOME:
            return False
        moved = self.outgoing.acknowledged(frame.ack, frame.room, now)
        if frame.kind == Kind.GAP:
            self.outgoing.go_back()
        elif frame.kind == Kind.DEVICE_ACK:
            self._polls += 1
        elif frame.kind in (Kind.OUTPUT, Kind.PROBE):
            return self.incoming.take(frame, now) or moved
        elif frame.kind == Kind.RESPONSE and self._request is not None:
            return self._answered(frame) or moved
        return moved

    def _answered(self, frame: Frame) -> bool:
        if frame.seq != self._request_seq:
            return False
        self._request, self._response = None, frame.payload
        self._request_timer.stop()
        return True

    def _refused(self, frame: Frame) -> None:
        if frame.session == self.number:
            return  # of a frame that another host had sent
        if frame.session:
            raise TransportError(f"{self.line.name}: another host has taken the device")
        raise TransportError(f"{self.line.name}: the device was reset, its state is lost")

    def _silent(self, seconds: float) -> str:
        return (
            f"{self.line.name}: the device has said nothing for {seconds:.1f} s: is it still there?"
        )

    def _stuck(self, seconds: float) -> str:
        return f"{self.line.name}: the chip has stood still for {seconds:.1f} s"
