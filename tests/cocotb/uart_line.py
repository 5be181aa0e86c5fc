"""The host's end of two wires: cocotbext-uart as an independent UART."""

from __future__ import annotations

import cocotb
from cocotb.task import resume
from cocotb.triggers import First, Timer
from cocotb.utils import get_sim_time
from cocotbext.uart import UartSink, UartSource

from vle.host.link.line import Timing


class UartLine:
    """A byte stream for `vle.host.link`, over cocotbext-uart; its calls come from a thread."""

    name, timing = "the UART of the bench", Timing(retry=0.02, silence=0.2, patience=0.4)

    def __init__(self, dut, baud: int) -> None:
        self.source = UartSource(dut.rx, baud=baud, bits=8)
        self.sink = UartSink(dut.tx, baud=baud, bits=8)
        for end in (self.source, self.sink):
            end.log.setLevel("WARNING")
        self.sent = self.received = 0
        self.write, self.read = resume(self._write), resume(self._read)

    def now(self) -> float:
        return get_sim_time("ns") * 1e-9

    async def _write(self, data: bytes) -> None:
        self.sent += len(data)
        self.source.write_nowait(data)

    async def _read(self, seconds: float) -> bytes:
        """Wait for the end of a frame, as long as bytes come."""
        until, data = self.now() + seconds, b""
        while not data.endswith(b"\0") and (left := until - self.now()) > 1e-8:
            if self.sink.empty():
                self.sink.sync.clear()
                await First(self.sink.sync.wait(), Timer(round(left * 1e9), "ns"))
            data += bytes(self.sink.read_nowait())
        self.received += len(data)
        return data

    def close(self) -> None:
        cocotb.log.info("%d bytes to the device, %d from it", self.sent, self.received)
