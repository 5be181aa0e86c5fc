"""How a session begins: what is said, what is answered, and what may be wrong where nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vle.errors import DeviceError, TransportError
from vle.host.link.frames import VERSION, Decoder, Frame, Kind, encode
from vle.host.link.line import ByteStream
from vle.host.link.timer import Timer

CLEAR = 1  # flag of HELLO
LEAST = 12  # bytes of a payload: a request to write one word has 10


@dataclass(frozen=True)
class Limits:
    """What a device can hold, as it says when a session begins.

    Parameters
    ----------
    payload
        Bytes of a frame's payload.
    slots_in, slots_out
        Stream frames to the device that it can hold, and from it that it keeps.
    cleared
        Whether the chip was cleared as the session began.
    """

    payload: int
    slots_in: int
    slots_out: int
    cleared: bool

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """Read a WELCOME.

        Raises
        ------
        DeviceError
            Where the device speaks another version.
        """
        payload = frame.payload
        if not payload or payload[0] != VERSION:
            version = payload[0] if payload else "none"
            raise DeviceError(f"version of the link must be {VERSION}, not {version}")
        if len(payload) != 4 or payload[1] < LEAST or not 0 < payload[2] < 16 or not payload[3]:
            raise DeviceError(f"a WELCOME must have sizes that can be, not {payload[1:].hex()}")
        return cls(payload[1], payload[2], payload[3], bool(frame.seq))


def hello(line: ByteStream, decoder: Decoder, number: int, *, clear: bool) -> Limits:
    """Begin a session; frames of before are dropped.

    Raises
    ------
    TransportError
        Where no device answers in time.
    DeviceError
        Where it speaks another version of the link.
    """
    said = encode(Frame(Kind.HELLO, number, payload=bytes((VERSION, CLEAR * clear))))
    began = now = line.now()
    timer, before = Timer(line.timing.retry), (decoder.received, decoder.frames)
    while now < began + line.timing.silence:
        line.write(b"\0" + said)  # what was begun before ends here
        timer.again(now)
        while now < timer.due:
            for frame in decoder.feed(line.read(timer.due - now)):
                if (frame.kind, frame.session) == (Kind.WELCOME, number):
                    return Limits.of(frame)
            now = line.now()
    received, frames = decoder.received - before[0], decoder.frames - before[1]
    raise TransportError(_no_welcome(line, received, frames))


def _no_welcome(line: ByteStream, received: int, frames: int) -> str:
    text = f"{line.name}: no device answers within {line.timing.silence:g} s"
    if not received:
        return f"{text}, not a byte has come: is it on, and programmed, and the baud rate right?"
    if not frames:
        return f"{text}; {received} bytes came, but no frame: is the baud rate right?"
    return f"{text}; {frames} frames came, of another session: is another host using it?"
