"""Sensors as their data sheets describe them: what they answer, and what they demand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times in nanoseconds, at least; `delay`: from a falling clock to valid data, at most."""

    high: float
    low: float
    select: float
    deselect: float
    setup: float
    hold: float
    delay: float


class SpiSlave:
    """A device on SPI mode 0: checks times, hears bits, answers bits.

    Parameters
    ----------
    limits
        Of its data sheet.
    clock_hz
        Of the design.
    """

    def __init__(self, limits: Limits, clock_hz: float) -> None:
        self.limits, self.period = limits, 1e9 / clock_hz
        self.heard, self.transfers = [], 0

    def answer(self, bits: list[int]) -> int:
        """Say what to drive after the bits heard so far, until the next falling edge."""
        raise NotImplementedError

    def ended(self, bits: list[int]) -> None:
        """A transfer has ended."""

    async def __call__(self, ctx, pads):
        at = dict.fromkeys(("rise", "fall", "select", "deselect", "change"), -1e9)
        cs, clk, data, now, driven, pending = 1, 0, 0, 0.0, 0, None
        demand = self.limits
        async for _, _, cs1, clk1, data1 in ctx.tick().sample(pads.cs, pads.clk, pads.copi):
            now += self.period
            if data1 != data:
                at["change"] = now
                if not cs1 and clk1:
                    assert now - at["rise"] >= demand.hold, "data changed while the clock was high"
            if cs and not cs1:
                assert now - at["deselect"] >= demand.deselect, "selected again too early"
                assert not clk1, "the clock must rest low"
                at["select"], self.heard = now, []
                driven = self.answer([])
            if not cs and not cs1 and clk1 and not clk:
                first = not self.heard
                assert now - at["select"] >= demand.select or not first, "clocked too early"
                assert now - at["fall"] >= demand.low or first, "clock low too shortly"
                assert now - at["change"] >= demand.setup, "data changed too late"
                at["rise"] = now
                self.heard.append(data1)
            if not cs1 and clk and not clk1:
                assert now - at["rise"] >= demand.high, "clock high too shortly"
                at["fall"] = now
                pending = now + demand.delay, self.answer(self.heard)
            if not cs and cs1:
                assert not clk1, "deselected while the clock was high"
                self.transfers += 1
                at["deselect"] = now
                self.ended(self.heard)
            if pending and now >= pending[0]:
                driven, pending = pending[1], None
            ctx.set(pads.cipo, driven if not cs1 else 0)
            cs, clk, data = cs1, clk1, data1


MCP3008 = Limits(high=125, low=125, select=100, deselect=270, setup=50, hold=50, delay=200)
MCP3208 = Limits(high=250, low=250, select=100, deselect=500, setup=50, hold=50, delay=200)
MAX11125 = Limits(high=25, low=25, select=4, deselect=10, setup=4, hold=1, delay=15)


class Mcp(SpiSlave):
    """MCP3008 and MCP3208: a start bit, SGL, 3 bits of channel; a bit of sampling, a 0, the sample.

    Parameters
    ----------
    limits, clock_hz
        As of `SpiSlave`.
    bits
        Of a sample.
    value
        Function of the channel.
    """

    def __init__(self, limits, clock_hz, bits, value) -> None:
        super().__init__(limits, clock_hz)
        self.bits, self.value, self.asked = bits, value, []

    def answer(self, bits):
        if 1 not in bits:
            return 1  # high impedance, pulled up
        command = bits[bits.index(1) :]
        if len(command) < 5:
            return 1
        if len(command) == 5:
            assert command[1] == 1, "single-ended"
            self.channel = command[2] * 4 + command[3] * 2 + command[4]
            self.word = self.value(self.channel)
            return 1
        place = len(command) - 7  # behind a null bit
        if place < 0:
            return 0
        return self.word >> self.bits - 1 - place & 1 if place < self.bits else 1

    def ended(self, bits):
        command = bits[bits.index(1) :]
        assert len(command) >= 6 + self.bits, "ended before the last bit"
        self.asked.append(self.channel)


class Max11125(SpiSlave):
    """Manual scan with an external clock: 16 bits each way, a sample some transfers later.

    Parameters
    ----------
    limits, clock_hz
        As of `SpiSlave`.
    value
        Function of the channel.
    late
        Transfers from a command to its sample.
    """

    def __init__(self, limits, clock_hz, value, late=1) -> None:
        super().__init__(limits, clock_hz)
        self.value, self.words, self.asked = value, [0] * late, []

    def answer(self, bits):
        word = self.words[0]
        return word >> 15 - len(bits) & 1 if len(bits) < 16 else 0

    def ended(self, bits):
        assert len(bits) == 16
        command = int("".join(map(str, bits)), 2)
        assert command >> 15 == 0, "mode control"
        assert command >> 11 & 15 == 1, "manual"
        assert command & 0b1111011 == 0, "no reset, no power-down"
        assert command & 4, "channel before the sample"
        channel = command >> 7 & 15
        self.asked.append(channel)
        self.words = [*self.words[1:], channel << 12 | self.value(channel)]


class I2sMicrophone:
    """INMP441: data changes when SCK falls, its highest bit one clock after WS.

    Parameters
    ----------
    clock_hz
        Of the design.
    sides
        Functions of the number of a sample, 24 bits: left, right.
    """

    HIGH = LOW = 50.0  # ns, at least
    PERIOD = 1e9 / 3.2e6, 1e9 / 0.5e6
    DELAY = 60.0  # from SCK to data, with a long cable

    def __init__(self, clock_hz, *sides) -> None:
        self.period, self.sides, self.sent = 1e9 / clock_hz, sides, [[], []]

    async def __call__(self, ctx, pads):
        sck, ws, now, rise, fall, place, word = 0, None, 0.0, None, None, 64, 0
        pending, count = None, -1
        async for _, _, sck1, ws1 in ctx.tick().sample(pads.sck, pads.ws):
            now += self.period
            if ws is not None and ws1 != ws:
                assert (sck, sck1) == (1, 0), "WS must change when SCK falls"
                assert place == 31 or place > 64, "32 clocks in a slot"  # all but the first
            if not sck and sck1:
                assert fall is None or now - fall >= self.LOW
                assert rise is None or self.PERIOD[0] <= now - rise <= self.PERIOD[1], "SCK"
                rise = now
            if sck and not sck1:
                assert now - rise >= self.HIGH
                fall = now
                if ws is not None and ws1 != ws:
                    count += not ws1
                    place = 0
                    word = self.sides[ws1](count) if ws1 < len(self.sides) else 0
                    if ws1 < len(self.sides) and count >= 0:
                        self.sent[ws1].append(word)
                else:
                    place += 1
                bit = word >> 24 - place & 1 if 1 <= place <= 24 else 0
                pending = now + self.DELAY, bit
                ws = ws1
            if ws is None:
                ws = ws1
            if pending and now >= pending[0]:
                ctx.set(pads.sd, pending[1])
                pending = None
            sck = sck1
