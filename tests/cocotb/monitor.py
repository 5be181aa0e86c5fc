"""What leaves the chip: frames, taken with random back-pressure, and every neuron's words."""

from __future__ import annotations

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamSink
from driver import pauses

TRACE = np.dtype([(name, np.int32) for name in ("layer", "neuron", "u", "r")])
ERRORS = np.dtype([(name, np.int32) for name in ("layer", "neuron", "e", "v", "exponent")])
CHANNELS = {
    "m_axis_t": ("data", "last", "user"),
    "s_axil_b": ("resp",),
    "s_axil_r": ("data", "resp"),
}


class FrameMonitor:
    """Takes frames of signed words from `m_axis`."""

    def __init__(self, dut, stalls: float, rng: random.Random) -> None:
        bus = AxiStreamBus.from_prefix(dut, "m_axis")
        self.sink = AxiStreamSink(bus, dut.clk, dut.rst, byte_lanes=1)
        self.width = len(dut.m_axis_tdata)
        if stalls:
            self.sink.set_pause_generator(pauses(stalls, rng))

    async def receive(self) -> tuple[np.ndarray, bool]:
        """Wait for a frame: its words, and whether all of them said that it began a sequence."""
        frame = await self.sink.recv()
        raw = np.array(frame.tdata, dtype=np.int64)
        users = set(np.atleast_1d(frame.tuser).tolist())
        assert len(users) == 1, "the start flag must be the same on every word"
        return raw - ((raw >> (self.width - 1)) << self.width), users == {1}


class HandshakeMonitor:
    """Fails the test where a channel takes back or changes what it offers before it is taken."""

    def __init__(self, dut, more: tuple[str, ...] = ()) -> None:
        channels = CHANNELS | dict.fromkeys(more, CHANNELS["m_axis_t"])
        self.words = dict.fromkeys(channels, 0)
        for channel, payload in channels.items():
            cocotb.start_soon(self._watch(dut, channel, payload))

    async def _watch(self, dut, channel: str, payload: tuple[str, ...]) -> None:
        valid, ready, *rest = (
            getattr(dut, channel + name) for name in ("valid", "ready", *payload)
        )
        edge, held = RisingEdge(dut.clk), None
        while True:
            await edge
            offered = tuple(int(port.value) for port in rest) if valid.value == 1 else None
            if dut.rst.value == 1:
                held = None
                continue
            assert held is None or offered == held, f"{channel}* changed from {held} to {offered}"
            taken = offered is not None and ready.value == 1
            self.words[channel] += taken
            held = None if taken else offered


class StateMonitor:
    """Records the words of each neuron as the trace ports show them.

    Parameters
    ----------
    dut, engines
        The chip, and how many engines it has.
    prefix, rows
        Of the ports, and what a row is made of: layer, neuron, words.
    """

    def __init__(self, dut, engines: int, prefix: str = "", rows: np.dtype = TRACE) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.dtype, self.prefix = rows, prefix
        for engine in range(engines):
            cocotb.start_soon(self._watch(dut, f"trace_{engine}_"))

    async def _watch(self, dut, ports: str) -> None:
        valid = getattr(dut, f"{ports}{self.prefix}valid")
        where = [getattr(dut, f"{ports}{self.prefix}{name}") for name in ("layer", "neuron")]
        words = [getattr(dut, f"{ports}{name}") for name in self.dtype.names[2:]]
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            if valid.value == 1 and dut.rst.value == 0:
                place = (port.value.to_unsigned() for port in where)
                self.rows.append((*place, *(port.value.to_signed() for port in words)))

    def take(self) -> np.ndarray:
        """Rows since the last call."""
        rows, self.rows[:] = np.array(self.rows, dtype=self.dtype), []
        return rows


class ProbeMonitor:
    """Takes words of probes, which are frames of one word each."""

    def __init__(self, dut, stalls: float, rng: random.Random) -> None:
        bus = AxiStreamBus.from_prefix(dut, "m_axis_probe")
        self.sink = AxiStreamSink(bus, dut.clk, dut.rst, byte_lanes=1)
        if stalls:
            self.sink.set_pause_generator(pauses(stalls, rng))

    def take(self) -> list[tuple[int, int, int, int]]:
        """Probe, number, word and exponent of each since the last call."""
        found = []
        while not self.sink.empty():
            frame = self.sink.recv_nowait()
            (raw,), user = frame.tdata, int(np.atleast_1d(frame.tuser)[0])
            exponent = (user >> 8 & 0xFF) - ((user >> 8 & 0x80) << 1)
            found.append((user & 0xFF, user >> 16, raw - ((raw >> 31) << 32), exponent))
        return found
