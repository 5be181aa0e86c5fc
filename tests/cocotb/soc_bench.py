"""The bench of the wrapper for SoC FPGAs: cocotbext-axi as a processor and its DMA.

Runs inside the simulator, as `bench`.
"""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
import random_chips
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from driver import pauses
from expected import expected
from tops import TOPS

from vle.compiler.circuit.registers import IDENTITY, register_map

CHIP = TOPS[os.environ["VLE_TOP"]]()
SPEC = CHIP.network
FRAMES = int(os.environ["VLE_FRAMES"])
WORD = 32
WATCHDOG = {"timeout_time": 100 + 4 * FRAMES, "timeout_unit": "us"}  # at 2 ns a cycle


async def watch(dut, channel: str, payload: tuple[str, ...]) -> None:
    """Fail where a channel takes back or changes what it offers before it is taken."""
    valid, ready, *rest = (getattr(dut, channel + name) for name in ("valid", "ready", *payload))
    held = None
    while True:
        await RisingEdge(dut.aclk)
        now = tuple(int(port.value) for port in rest) if valid.value == 1 else None
        if dut.aresetn.value == 0:
            held = None
            continue
        assert held is None or now == held, f"{channel}* changed from {held} to {now}"
        held = now if ready.value == 0 else None


class Processor:
    """AXI4-Lite master and DMA at the ports of `vle_soc`."""

    def __init__(self, dut, gaps: float, stalls: float) -> None:
        rng, self.dut = random.Random(cocotb.RANDOM_SEED), dut
        ends = {"reset_active_level": False}
        clocking = (dut.aclk, dut.aresetn)
        stream = AxiStreamBus.from_prefix
        self.source = AxiStreamSource(stream(dut, "s_axis"), *clocking, byte_lanes=1, **ends)
        self.sink = AxiStreamSink(stream(dut, "m_axis"), *clocking, byte_lanes=1, **ends)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *clocking, **ends)
        if gaps:
            self.source.set_pause_generator(pauses(gaps, rng))
        if stalls:
            self.sink.set_pause_generator(pauses(stalls, rng))
        for channel, payload in (
            ("m_axis_t", ("data", "last", "user")),
            ("s_axi_b", ("resp",)),
            ("s_axi_r", ("data", "resp")),
        ):
            cocotb.start_soon(watch(dut, channel, payload))

    async def reset(self) -> None:
        """Start the clock, hold the reset."""
        self.dut.aresetn.value = 0
        cocotb.start_soon(Clock(self.dut.aclk, 2, unit="ns").start())
        await ClockCycles(self.dut.aclk, 5)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    async def read(self, name: str) -> int:
        """Read a register by name."""
        address = 4 * register_map(CHIP).register(name).address
        answer = await self.master.read(address, 4)
        assert answer.resp == AxiResp.OKAY, name
        return int.from_bytes(answer.data, "little")

    def send(self, frame, start: bool) -> None:
        """Queue a frame of words of 32 bits, as a DMA does."""
        data = [int(word) % (1 << WORD) for word in frame]
        self.source.send_nowait(AxiStreamFrame(data, tuser=[int(start)] * len(data)))

    async def receive(self) -> list[int]:
        """Wait for a frame of words of 32 bits, signed."""
        raw = np.array((await self.sink.recv()).tdata, np.uint32)
        return raw.view(np.int32).tolist()


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(gaps=[0.0, 0.3], stalls=[0.0, 0.3])
async def test_frames_and_registers(dut, gaps, stalls):
    processor = Processor(dut, gaps, stalls)
    await processor.reset()
    assert await processor.read("ID") == IDENTITY
    assert (await processor.master.write(0, bytes(4))).resp == AxiResp.SLVERR
    numbers = np.random.default_rng(cocotb.RANDOM_SEED)
    frames = random_chips.frames(numbers, SPEC, FRAMES)
    start = numbers.random(FRAMES) < 0.1
    start[0] = True
    for frame, begins in zip(frames, start, strict=True):
        processor.send(frame, begins)
    want = expected(SPEC, frames, start).outputs.tolist()
    assert [await processor.receive() for _ in frames] == want
    assert await processor.read("STEPS") == FRAMES
