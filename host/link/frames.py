"""Frames on the line: a header, a payload, a checksum, and an end that can be found again."""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import NamedTuple

from cobs import cobs

VERSION = 1
HEADER, CHECK = 4, 4  # bytes
LONGEST = 4096  # bytes between two zeros that can be a frame at all


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    REQUEST = 2
    STEPS = 3
    ACK = 4
    RESEND = 5
    WELCOME = 9
    RESPONSE = 10
    OUTPUT = 11
    PROBE = 12
    DEVICE_ACK = 13
    REFUSED = 14
    GAP = 15


class Frame(NamedTuple):
    """A frame.

    Parameters
    ----------
    kind
        One of `Kind`, or a number that is none.
    session, seq, ack
        As docs/link.md says, 0 to 255.
    payload
        What it carries.
    room
        From a device: how many stream frames beyond `ack` it can take, 0 to 15.
    """

    kind: int
    session: int
    seq: int = 0
    ack: int = 0
    payload: bytes = b""
    room: int = 0


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame on the line, its zero at the end."""
    head = bytes((frame.kind << 4 | frame.room, frame.session, frame.seq, frame.ack))
    body = head + frame.payload
    checked = body + zlib.crc32(body).to_bytes(CHECK, "little")
    return bytes(cobs.encode(checked)) + b"\0"


def decode(block: bytes) -> Frame | None:
    """Return the frame of what was found between two zeros; None where it is damaged."""
    if len(block) > LONGEST:
        return None
    try:
        body = cobs.decode(block)
    except cobs.DecodeError:
        return None
    check = int.from_bytes(body[-CHECK:], "little")
    if len(body) < HEADER + CHECK or zlib.crc32(body[:-CHECK]) != check:
        return None
    first, session, seq, ack = body[:HEADER]
    return Frame(first >> 4, session, seq, ack, body[HEADER:-CHECK], first & 15)


class Decoder:
    """Finds frames in what comes over a line, piece by piece.

    Members
    -------
    received, frames, damaged
        Bytes that came, frames among them, and blocks that are none.
    """

    def __init__(self) -> None:
        self.received = self.frames = self.damaged = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        self.received += len(data)
        *blocks, rest = (self._rest + data).split(b"\0")
        self._rest = rest[: LONGEST + 1]
        found = [decode(block) for block in blocks if block]
        frames = [frame for frame in found if frame is not None]
        self.frames += len(frames)
        self.damaged += len(found) - len(frames)
        return frames
