"""A link under test: bytes and frames on its line, a chip that is a table behind it."""

from __future__ import annotations

import random

from bounded import simulate
from handshake import Held

from vle.compiler.circuit.link import LinkSpec
from vle.host.link.frames import Decoder, Frame, Kind, encode
from vle.hw.link.link import Link

SESSION = 77
WIDTH = 12  # bits of a word address


class Bench:
    """Sends frames, hears frames; what comes on `s_axis` is answered word by word, plus one.

    Parameters
    ----------
    spec
        Sizes.
    gaps, stalls
        Chance of a clock without a byte, to the device and from it.
    slow
        Chance of a clock in which the chip does not take or offer a word.
    """

    def __init__(
        self, spec: LinkSpec, *, seed: int = 1, gaps: float = 0, stalls: float = 0, slow: float = 0
    ) -> None:
        self.spec, self.link, self.rng = spec, Link(spec, WIDTH), random.Random(seed)
        self.gaps, self.stalls, self.slow = gaps, stalls, slow
        self.decoder, self.heard = Decoder(), []
        self.beats: list[tuple[int, int, int]] = []  # data, last, user of s_axis
        self.aims: list[tuple[int, int, int]] = []
        self.words: list[tuple[int, int]] = []  # to come on m_axis: data, last
        self.probes: list[tuple[int, int]] = []
        self.registers: dict[int, int] = {}
        self.writes: list[tuple[int, int]] = []
        self.damaged = 0
        self.blocked = False

    def run(self, scenario) -> None:
        """Run a scenario of `(ctx, bench)`."""

        async def main(ctx):
            self.ctx = ctx
            await scenario(self)

        chip = [self._line, self._bus, self._inputs, self._outputs]
        if self.spec.learns:
            chip += [self._targets, self._probes]
        simulate(self.link, main, background=chip, cycles=60_000)

    async def send(self, data: bytes) -> None:
        """Put bytes on the line."""
        for byte in data:
            while self.rng.random() < self.gaps:
                await self.ctx.tick()
            self.ctx.set(self.link.i.payload, byte)
            self.ctx.set(self.link.i.valid, 1)
            await self.ctx.tick().until(self.link.i.ready)
            self.ctx.set(self.link.i.valid, 0)

    async def say(self, kind: Kind, seq=0, payload=b"", ack=0, session=SESSION) -> None:
        """Send a frame."""
        await self.send(encode(Frame(kind, session, seq, ack, bytes(payload))))

    async def frame(self, *kinds: Kind, limit: int = 5000) -> Frame:
        """Wait for a frame, of some kinds."""
        for _ in range(limit):
            while self.heard:
                frame = self.heard.pop(0)
                if not kinds or frame.kind in kinds:
                    return frame
            await self.ctx.tick()
        raise AssertionError(f"no {kinds} in {limit} clocks")

    async def hello(self, *, clear=1, session=SESSION) -> Frame:
        """Begin a session."""
        await self.say(Kind.HELLO, payload=(1, clear), session=session)
        return await self.frame(Kind.WELCOME)

    async def request(self, seq: int, payload: bytes, ack=0) -> bytes:
        """Have a request done."""
        await self.say(Kind.REQUEST, seq, payload, ack)
        frame = await self.frame(Kind.RESPONSE)
        assert frame.seq == seq
        return frame.payload

    async def _line(self, ctx):
        o, held = self.link.o, Held("line")
        while True:
            ctx.set(o.ready, self.rng.random() >= self.stalls)
            _, _, valid, ready, byte, bad = await ctx.tick().sample(
                o.valid, o.ready, o.payload, self.link.damaged
            )
            held.see(valid, ready, byte)
            self.damaged += bad
            if valid and ready:
                self.heard += self.decoder.feed(bytes((byte,)))
                assert self.decoder.damaged == 0

    async def _bus(self, ctx):
        bus = self.link.bus
        while True:
            await ctx.tick()
            reading, writing = ctx.get(bus.read), ctx.get(bus.write)
            if not (reading or writing) or self.rng.random() < self.slow:
                continue
            address = ctx.get(bus.addr)
            if writing:
                self.writes.append((address, ctx.get(bus.w_data)))
                self.registers[address] = ctx.get(bus.w_data)
            ctx.set(bus.r_data, self.registers.get(address, 0))
            ctx.set(bus.error, address >= 1000)
            ctx.set(bus.done, 1)
            await ctx.tick()
            ctx.set(bus.done, 0)

    async def _take(self, ctx, axis, found, answer):
        held = Held("beats")
        while True:
            ctx.set(axis.tready, not self.blocked and self.rng.random() >= self.slow)
            _, _, valid, ready, drop, *word = await ctx.tick().sample(
                axis.tvalid, axis.tready, self.link.clearing, axis.tdata, axis.tlast, axis.tuser
            )
            if drop:
                held.clear()
                continue
            held.see(valid, ready, *word)
            if valid and ready:
                found.append(tuple(word))
                if answer:
                    self.words.append((word[0] + 1, word[1]))

    async def _inputs(self, ctx):
        await self._take(ctx, self.link.s_axis, self.beats, True)

    async def _targets(self, ctx):
        await self._take(ctx, self.link.s_axis_target, self.aims, False)

    async def _offer(self, ctx, axis, words, second):
        while True:
            if not words or self.rng.random() < self.slow:
                await ctx.tick()
                continue
            ctx.set(axis.tdata, words[0][0])
            ctx.set(second, words[0][1])
            ctx.set(axis.tvalid, 1)
            taken = 0
            while not taken:
                _, _, taken = await ctx.tick().sample(axis.tready)
            ctx.set(axis.tvalid, 0)
            words.pop(0)

    async def _outputs(self, ctx):
        await self._offer(ctx, self.link.m_axis, self.words, self.link.m_axis.tlast)

    async def _probes(self, ctx):
        axis = self.link.m_axis_probe
        await self._offer(ctx, axis, self.probes, axis.tuser)
