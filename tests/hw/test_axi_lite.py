"""The bridge from AXI4-Lite: any order of address and data, any wait, errors passed on."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator

from vle.hw.axi_lite import Bridge

WATCHDOG = 20_000  # cycles


async def registers(ctx, bus, memory: dict[int, int], rng: random.Random):
    """Answer after a random wait; addresses from 200 on are refused."""
    while True:
        await ctx.tick()
        ctx.set(bus.done, 0)
        reading, writing = ctx.get(bus.read), ctx.get(bus.write)
        if not (reading or writing) or rng.random() < 0.5:
            continue
        address = ctx.get(bus.addr)
        if writing and address < 200:
            memory[address] = ctx.get(bus.w_data)
        ctx.set(bus.r_data, memory.get(address, 0))
        ctx.set(bus.error, address >= 200)
        ctx.set(bus.done, 1)
        await ctx.tick()
        ctx.set(bus.done, 0)


async def offer(ctx, channels, rng: random.Random):
    """Raise each valid of (valid, ready) after a wait of its own, lower it once it was heard."""
    waits = [rng.randrange(5) for _ in channels]
    pending = set(range(len(channels)))
    for cycle in range(WATCHDOG):
        for channel in pending:
            ctx.set(channels[channel][0], cycle >= waits[channel])
        _, _, *heard = await ctx.tick().sample(*(valid & ready for valid, ready in channels))
        for channel in [channel for channel in pending if heard[channel]]:
            ctx.set(channels[channel][0], 0)
            pending.remove(channel)
        if not pending:
            return


async def answer(ctx, valid, ready, *words, rng: random.Random):
    """Take a response after a random wait."""
    await ctx.tick().repeat(1 + rng.randrange(4))
    ctx.set(ready, 1)
    got = await ctx.tick().sample(*words).until(valid)
    ctx.set(ready, 0)
    return [int(word) for word in got]


async def write(ctx, axi, address: int, data: int, strobe: int, *, rng) -> int:
    ctx.set(axi.awaddr, 4 * address)
    ctx.set(axi.wdata, data)
    ctx.set(axi.wstrb, strobe)
    await offer(ctx, [(axi.awvalid, axi.awready), (axi.wvalid, axi.wready)], rng)
    [response] = await answer(ctx, axi.bvalid, axi.bready, axi.bresp.as_value(), rng=rng)
    return response


async def read(ctx, axi, address: int, rng: random.Random) -> list[int]:
    ctx.set(axi.araddr, 4 * address)
    await offer(ctx, [(axi.arvalid, axi.arready)], rng)
    return await answer(ctx, axi.rvalid, axi.rready, axi.rresp.as_value(), axi.rdata, rng=rng)


@pytest.mark.parametrize("seed", range(3))
def test_reads_and_writes_in_any_rhythm(seed):
    rng, dut = random.Random(seed), Bridge(8)
    memory: dict[int, int] = {}
    done = []

    async def manager(ctx):
        mirror: dict[int, int] = {}
        for _ in range(150):
            address, data = rng.randrange(220), rng.getrandbits(32)
            refused = 2 if address >= 200 else 0
            if rng.random() < 0.5:
                strobe = rng.choice((15, 15, 15, 0, 3))
                response = await write(ctx, dut.axi, address, data, strobe, rng=rng)
                assert response == (refused if strobe == 15 else 2)
                if response == 0:
                    mirror[address] = data
            else:
                response, word = await read(ctx, dut.axi, address, rng)
                assert response == refused
                assert refused or word == mirror.get(address, 0)
        done.append(True)

    async def answer_bus(ctx):
        await registers(ctx, dut.bus, memory, rng)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(manager)
    simulator.add_testbench(answer_bus, background=True)
    assert any(not simulator.advance() for _ in range(10 * WATCHDOG)), f"no end, seed {seed}"
    assert done
