# amaranth: UnusedElaboratable=no
"""The UART against lines that are too fast, too slow, or no bytes at all."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from bounded import simulate

from vle.hw.link.uart import EXACT, Uart, bit_rate

BYTES = 24


def waveform(data: list[int], clocks_per_bit: float, gap: list[float]) -> list[int]:
    """Level of the line in each clock; `gap` in bits before each byte."""
    edges, now = [], 0.0
    for byte, pause in zip(data, gap, strict=True):
        now += pause
        for bit in (0, *(byte >> k & 1 for k in range(8)), 1):
            edges.append((now, bit))
            now += 1
    line, level = [], 1
    for clock in range(int((now + 2) * clocks_per_bit)):
        while edges and edges[0][0] * clocks_per_bit <= clock:
            level = edges.pop(0)[1]
        line.append(level)
    return line


def receive(uart: Uart, line: list[int]) -> tuple[list[int], int]:
    """Bytes that a UART makes of a line, and how many errors."""
    got, errors = [], 0

    async def scenario(ctx):
        nonlocal errors
        ctx.set(uart.o.ready, 1)
        ctx.set(uart.i.valid, 0)
        for level in line:
            ctx.set(uart.rx, level)
            _, _, valid, byte, error = await ctx.tick().sample(
                uart.o.valid, uart.o.payload, uart.error
            )
            errors += error
            if valid:
                got.append(byte)

    simulate(uart, scenario)
    return got, errors


@pytest.mark.parametrize(("clock", "baud"), [(8, 1), (100, 3)])
@pytest.mark.parametrize("off", [-0.02, 0, 0.02])
def test_bytes_of_a_line_that_is_too_fast_or_slow(clock, baud, off):
    rng = random.Random(clock)
    data = [rng.randrange(256) for _ in range(BYTES)]
    gap = [rng.choice((0, 0, 0, rng.random() * 3)) for _ in data]
    line = waveform(data, clock / baud / (1 + off), [3, *gap[1:]])
    assert receive(Uart(clock * 1000, baud * 1000), line) == (data, 0)


def test_a_break_and_a_missing_stop_bit_are_no_bytes():
    good, bits = [0x55, 0xA3], 10
    line = waveform(good[:1], bits, [2]) + [0] * 150 + [1] * 30
    line += [0] * 4 + [1] * 40  # shorter than half a start bit
    line += waveform([0xFF], bits, [1])[: 10 * bits] + [0] * 12 + [1] * 20  # no stop bit
    line += waveform(good[1:], bits, [1])
    assert receive(Uart(10_000, 1000), line) == (good, 2)


@pytest.mark.parametrize(("clock", "baud"), [(8, 1), (100, 3)])
def test_bytes_go_out_without_a_gap(clock, baud):
    rng = random.Random(baud)
    data = [rng.randrange(256) for _ in range(BYTES)]
    uart, line = Uart(clock * 1000, baud * 1000), []

    async def send(ctx):
        for byte in data:
            ctx.set(uart.i.payload, byte)
            ctx.set(uart.i.valid, 1)
            taken = 0
            while not taken:
                _, _, taken, level = await ctx.tick().sample(uart.i.ready, uart.tx)
                line.append(level)
        ctx.set(uart.i.valid, 0)
        for _ in range(12 * clock // baud):
            _, _, level = await ctx.tick().sample(uart.tx)
            line.append(level)

    simulate(uart, send)
    begin, width = line.index(0), Fraction(clock, baud)
    for place, byte in enumerate(data):
        middles = (begin + int(width * (10 * place + bit) + width / 2) for bit in range(10))
        bits = [line[at] for at in middles]
        assert bits == [0, *(byte >> k & 1 for k in range(8)), 1], place
    assert all(line[begin + int(width * 10 * len(data)) + 1 :])


@pytest.mark.parametrize(
    ("clock", "baud"), [(25_000_000, 115_200), (75_000_000, 3_000_000), (100_000_000, 3_000_000)]
)
def test_the_rate_is_exact(clock, baud):
    assert abs(bit_rate(clock, baud) / Fraction(baud, clock) - 1) <= EXACT


@pytest.mark.parametrize("baud", [0, -1, 1_000_001])
def test_a_clock_must_be_fast_enough(baud):
    with pytest.raises(ValueError, match=r"baud must be in 1\.\.1000000 at 8000000 Hz"):
        Uart(8_000_000, baud)
