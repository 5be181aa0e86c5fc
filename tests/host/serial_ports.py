"""A serial port with a device behind it: pseudo terminals, and bits that take their time."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import tty

import numpy as np

RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[1:].isdigit()}


def heard(data: bytes, sent_at: float, heard_at: float) -> bytes:
    """What a UART at one rate makes of bytes that were sent at another."""
    if sent_at == heard_at or not data:
        return data
    rows = np.unpackbits(np.frombuffer(data, np.uint8)[:, None], axis=1, bitorder="little")
    ends = np.ones((len(data), 1), np.uint8)
    bits = np.concatenate([0 * ends, rows, ends], axis=1).ravel()  # a start bit, 8, a stop bit
    line = np.concatenate([bits, np.ones(20 * 11, np.uint8)])
    step, at, found = sent_at / heard_at, 0.0, []
    while at < len(bits):
        if line[int(at)]:
            at = int(at) + 1.0
            continue
        places = np.minimum(at + step * (np.arange(10) + 0.5), len(line) - 1).astype(int)
        if not line[places[0]] and line[places[9]]:
            found.append(int(np.packbits(line[places[1:9]], bitorder="little")[0]))
        at += step * 9.5
    return bytes(found)


class Port:
    """A serial port of this machine, `path`, that ends in a device.

    Parameters
    ----------
    device
        What takes and returns bytes; None: nothing is connected.
    baud
        Its rate.
    """

    def __init__(self, device, baud: int = 1_000_000) -> None:
        self.device, self.baud = device, baud
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.bytes, self.pull_after = 0, None
        self.open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open = False
        self.thread.join(5)
        for end in (self.master, self.slave):
            if end is not None:
                os.close(end)

    def pull(self) -> None:
        """Pull the cable: the port is gone."""
        master, self.master = self.master, None
        os.close(master)

    def _serve(self) -> None:
        while self.open and self.master is not None:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            data = os.read(self.master, 4096)
            self.bytes += len(data)
            if self.pull_after is not None and self.bytes > self.pull_after:
                self.pull()
                return
            if self.device is not None:
                rate = RATES[termios.tcgetattr(self.slave)[5]]
                said = self.device.receive(heard(data, rate, self.baud))
                self._say(heard(said, self.baud, rate))

    def _say(self, data: bytes) -> None:
        while data and self.open:
            if select.select([], [self.master], [], 0.1)[1]:
                data = data[os.write(self.master, data[:1024]) :]
