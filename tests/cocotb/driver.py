"""Frames into the chip: cocotbext-axi as an independent master, with random gaps."""

from __future__ import annotations

import random
from collections.abc import Iterator

from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSource


def pauses(chance: float, rng: random.Random) -> Iterator[bool]:
    """Yield per clock whether to pause: single cycles and long silences alike."""
    while True:
        pause = rng.random() < chance
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            yield pause


class FrameDriver:
    """Sends frames of signed words over `s_axis`, or another stream."""

    def __init__(self, dut, gaps: float, rng: random.Random, stream: str = "s_axis") -> None:
        bus = AxiStreamBus.from_prefix(dut, stream)
        self.source = AxiStreamSource(bus, dut.clk, dut.rst, byte_lanes=1)
        self.mask = (1 << len(getattr(dut, f"{stream}_tdata"))) - 1
        if gaps:
            self.source.set_pause_generator(pauses(gaps, rng))

    def send(self, words, *, start: bool = False, user: int = 0) -> None:
        """Queue one frame; only its first word carries the flags."""
        data = [int(word) & self.mask for word in words]
        flags = [user | int(start)] + [0] * (len(data) - 1)
        self.source.send_nowait(AxiStreamFrame(data, tuser=flags))
