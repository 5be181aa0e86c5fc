"""Registers and memories of a chip by their names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import DeviceError
from vle.host.bundle import Bundle
from vle.host.transport import Transport

Raw = NDArray[np.int64]
HALT, CLEAR, CLEAR_COUNTERS = 1, 2, 4
SECONDS = 10.0  # for the chip to finish the steps that it has begun


class Chip:
    """Words of a chip, by register, and by kind and layer.

    Parameters
    ----------
    bundle
        What the chip was made from.
    transport
        The way to it.
    """

    def __init__(self, bundle: Bundle, transport: Transport) -> None:
        self.bundle, self.transport = bundle, transport

    def read(self, name: str) -> int:
        """Read a register."""
        return int(self.transport.read([self.bundle.map.address[name]])[0])

    def read_all(self, names: list[list[str]]) -> Raw:
        """Read a table of registers."""
        addresses = [[self.bundle.map.address[name] for name in row] for row in names]
        return self.transport.read(addresses).reshape(len(names), -1).astype(np.int64)

    def write(self, name: str, word: int) -> None:
        """Write a register."""
        self.transport.write([self.bundle.map.address[name]], [word])

    def get(self, kind: str, layer: int) -> Raw:
        """Read the words of a window; the chip must be halted."""
        addresses = self.addresses(kind, layer)
        words = self.transport.read(addresses).reshape(addresses.shape)
        return self.bundle.map.windows[kind, layer].decode(words)

    def put(self, kind: str, layer: int, words: Raw) -> None:
        """Write the words of a window; the chip must be halted."""
        self.transport.write(self.addresses(kind, layer), words.ravel())

    def check(self, kind: str, layer: int, words: ArrayLike) -> Raw:
        """Return words of a window as integers.

        Raises
        ------
        ValueError
            For another shape, or a word that does not fit.
        """
        shape = self.bundle.layers[layer].shape(kind)
        return self.bundle.map.windows[kind, layer].check(words, shape)

    def addresses(self, kind: str, layer: int) -> Raw:
        """Byte addresses of the words of a window."""
        window = self.bundle.map.windows[kind, layer]
        shape = self.bundle.layers[layer].shape(kind)
        return window.matrix(*shape) if len(shape) == 2 else window.vector(*shape)

    def kinds(self, layer: int) -> list[str]:
        """Kinds of words that a layer has."""
        return [kind for kind, index in self.bundle.map.windows if index == layer]

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Stop taking frames, wait for the steps that have begun, and go on afterwards."""
        self.write("CTRL", HALT)
        try:
            self.until_idle()
            yield
        finally:
            self.write("CTRL", 0)

    def until_idle(self) -> None:
        """Wait for the steps that have begun.

        Raises
        ------
        DeviceError
            Where they do not end.
        """
        deadline = time.monotonic() + SECONDS
        while not self.read("STATUS") & 1:
            if time.monotonic() > deadline:
                address = self.bundle.map.address["STATUS"]
                text = f"the chip is not idle within {SECONDS} s"
                raise DeviceError(text, register="STATUS", address=address)
