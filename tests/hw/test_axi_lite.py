"""The bridge from AXI4-Lite: any order of address and data, any wait, errors passed on."""

from __future__ import annotations

import random

import pytest
from bounded import WATCHDOG, simulate
from handshake import Held

from vle.hw.axi_lite import Bridge

OKAY, SLVERR = 0, 2


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


async def watch(ctx, axi):
    """Responses stand until they are taken."""
    b, r = Held("b"), Held("r")
    async for _, _, *seen in ctx.tick().sample(
        *(axi.bvalid, axi.bready, axi.bresp.as_value()),
        *(axi.rvalid, axi.rready, axi.rresp.as_value(), axi.rdata),
    ):
        b.see(*seen[:3])
        r.see(*seen[3:])


def run(dut: Bridge, *managers, background=()) -> None:
    async def watched(ctx):
        await watch(ctx, dut.axi)

    simulate(dut, *managers, background=[watched, *background])


@pytest.mark.parametrize("seed", range(3))
def test_reads_and_writes_in_any_rhythm(seed):
    """One after the other; a write that strobes only some bytes is refused, changing nothing."""
    rng, dut = random.Random(seed), Bridge(8)
    memory: dict[int, int] = {}
    mirror: dict[int, int] = {}

    async def manager(ctx):
        for _ in range(150):
            address, data = rng.randrange(220), rng.getrandbits(32)
            refused = SLVERR if address >= 200 else OKAY
            if rng.random() < 0.5:
                strobe = rng.choice((15, 15, rng.randrange(15)))
                response = await write(ctx, dut.axi, address, data, strobe, rng=rng)
                assert response == (refused if strobe == 15 else SLVERR)
                if response == OKAY:
                    mirror[address] = data
            else:
                response, word = await read(ctx, dut.axi, address, rng)
                assert response == refused
                assert refused or word == mirror.get(address, 0)

    async def answer_bus(ctx):
        await registers(ctx, dut.bus, memory, rng)

    run(dut, manager, background=[answer_bus])
    assert memory == mirror


@pytest.mark.parametrize("seed", range(3))
def test_reads_and_writes_at_once(seed):
    """Address before data, data before address, a read beside both."""
    rng, dut = random.Random(seed), Bridge(8)
    memory = {address: rng.getrandbits(32) for address in range(100)}
    known, mirror = dict(memory), dict(memory)

    async def reader(ctx):
        for _ in range(80):
            address = rng.randrange(100)
            assert await read(ctx, dut.axi, address, rng) == [OKAY, known[address]]

    async def writer(ctx):
        for _ in range(80):
            address, data = rng.randrange(100, 220), rng.getrandbits(32)
            response = await write(ctx, dut.axi, address, data, 15, rng=rng)
            assert response == (SLVERR if address >= 200 else OKAY)
            if address < 200:
                mirror[address] = data

    async def answer_bus(ctx):
        await registers(ctx, dut.bus, memory, rng)

    run(dut, reader, writer, background=[answer_bus])
    assert memory == mirror


def test_reads_and_writes_in_turn():
    """Reads back to back do not starve writes, nor writes reads."""
    dut, order = Bridge(8), []

    async def manager(ctx):
        axi, bus = dut.axi, dut.bus
        for signal in (axi.arvalid, axi.awvalid, axi.wvalid, axi.rready, axi.bready, bus.done):
            ctx.set(signal, 1)
        ctx.set(axi.wstrb, 15)
        for _ in range(60):
            _, _, reads, writes = await ctx.tick().sample(bus.read, bus.write)
            order.extend("r" * reads + "w" * writes)

    run(dut, manager)
    assert len(order) > 12
    assert "".join(order) == ("rw" * len(order))[: len(order)]


def test_no_output_follows_an_input_within_a_clock():
    """AXI allows no combinational path from an input to an output."""
    rng, dut = random.Random(0), Bridge(8)
    axi = dut.axi
    outputs = (axi.awready, axi.wready, axi.arready, axi.bvalid, axi.rvalid)
    words = (axi.bresp.as_value(), axi.rresp.as_value(), axi.rdata)
    inputs = (axi.awvalid, axi.wvalid, axi.arvalid, axi.bready, axi.rready)

    async def manager(ctx):
        for _ in range(500):
            ctx.set(dut.bus.done, rng.randrange(2))
            before = [ctx.get(signal) for signal in (*outputs, *words)]
            for signal in inputs:
                ctx.set(signal, rng.randrange(2))
            for signal in (axi.awaddr, axi.araddr, axi.wdata, axi.wstrb):
                ctx.set(signal, rng.getrandbits(len(signal)))
            assert [ctx.get(signal) for signal in (*outputs, *words)] == before
            await ctx.tick()

    run(dut, manager)
