"""Streams of bytes, and of bytes of frames and where a frame ends."""

from __future__ import annotations

from enum import IntEnum

from amaranth.lib import data, stream

# `end` set: the frame is over, and `data` 0 says that it was whole
TOKEN = data.StructLayout({"data": 8, "end": 1})


def shape(any_shape):
    """Return what Amaranth takes for a shape, though its types do not say so."""
    return any_shape


def byte_stream():
    """Bytes of a line."""
    return stream.Signature(shape(8))


def token_stream():
    """Bytes and ends of frames."""
    return stream.Signature(shape(TOKEN))


class Kind(IntEnum):
    """Types of frames."""

    HELLO = 1
    REQUEST = 2
    STEPS = 3
    HOST_ACK = 4
    RESEND = 5
    WELCOME = 9
    RESPONSE = 10
    OUTPUT = 11
    PROBE = 12
    ACK = 13
    REFUSED = 14
    GAP = 15
