"""The device's side of docs/link.md, frame by frame, in every rhythm of line and chip."""

from __future__ import annotations

import itertools
import random

import pytest
from link_bench import SESSION, Bench

from vle.compiler.circuit.link import LinkSpec
from vle.host.link.frames import Frame, Kind, encode

CONTROL = 3  # word address of CTRL
RHYTHMS = [
    {"gaps": gaps, "stalls": stalls, "slow": slow}
    for gaps, stalls, slow in itertools.product((0, 0.3), repeat=3)
]
SMALL = LinkSpec(3, 2, 16, 16, payload_max=120, slots=4)
LEARNS = LinkSpec(3, 2, 12, 20, 18, payload_max=120, slots=8)


def words(values, size: int = 2) -> bytes:
    return b"".join((int(v) & 0xFFFFFFFF).to_bytes(4, "little")[:size] for v in values)


def reads(address: int, count: int, flags: int = 0) -> bytes:
    return bytes((flags, count)) + address.to_bytes(4, "little")


def run(scenario, spec: LinkSpec = SMALL, **rhythm) -> Bench:
    bench = Bench(spec, **rhythm)
    bench.run(scenario)
    return bench


def test_a_session_begins():
    async def scenario(bench):
        for clear in (0, 1):
            frame = await bench.hello(clear=clear)
            said = bytes((1, 120, 4, 4))
            assert frame == Frame(Kind.WELCOME, SESSION, clear, frame.ack, said, 4)
            assert bench.writes == [(CONTROL, 2)] * clear

    run(scenario)


def test_other_sessions_are_refused_and_what_a_device_says_is_not():
    async def scenario(bench):
        await bench.say(Kind.STEPS, session=5)
        assert (await bench.frame())[:3] == (Kind.REFUSED, 0, Kind.STEPS)
        await bench.say(Kind.STEPS, session=0)
        assert (await bench.frame())[:3] == (Kind.REFUSED, 0, Kind.STEPS)
        await bench.hello()
        for kind in (Kind.REQUEST, Kind.ACK, Kind.RESEND):
            await bench.say(kind, session=5)
            assert (await bench.frame())[:3] == (Kind.REFUSED, SESSION, kind)
        await bench.say(Kind.REFUSED, session=5)
        await bench.say(Kind.HELLO, session=0, payload=(1, 0))
        await bench.say(Kind.RESEND)
        assert (await bench.frame())[:3] == (Kind.REFUSED, 0, Kind.RESEND)

    run(scenario)


@pytest.mark.parametrize("rhythm", RHYTHMS[::7])
def test_requests_are_done_once_and_answered_as_often(rhythm):
    async def scenario(bench):
        await bench.hello()
        bench.writes.clear()
        write = bytes((1, 3)) + (4 * 50).to_bytes(4, "little") + words((7, 8, 9), 4)
        for seq in (1, 1, 1):
            assert await bench.request(seq, write) == bytes((1, 3, 0))
        assert bench.writes == [(50, 7), (51, 8), (52, 9)]
        read = bytes((0, 3, 0)) + words((7, 8, 9), 4)
        assert await bench.request(2, reads(4 * 50, 3)) == read
        await bench.say(Kind.REQUEST, 1, write)  # long done
        await bench.say(Kind.REQUEST, 4, write)  # too early
        assert await bench.request(2, reads(4 * 50, 3)) == read
        assert len(bench.writes) == 3

    run(scenario, **rhythm)


def test_frames_that_come_while_a_request_is_done_change_nothing():
    async def scenario(bench):
        await bench.hello()
        bench.writes.clear()
        bench.slow = 0.9
        write = bytes((1, 12)) + (400).to_bytes(4, "little") + words(range(12), 4)
        await bench.say(Kind.REQUEST, 1, write)
        for seq in range(4):
            await bench.say(Kind.STEPS, seq, b"\1" + words(range(3 * seq)))
            await bench.say(Kind.REQUEST, 2, reads(0, 1))  # too early
        assert (await bench.frame(Kind.RESPONSE)).payload == bytes((1, 12, 0))
        assert bench.writes == [(100 + k, k) for k in range(12)]

    run(scenario)


def test_refused_accesses_end_a_request_unless_it_goes_on():
    async def scenario(bench):
        await bench.hello()
        bench.registers |= {998: 5, 999: 6}
        end = bytes((0, 3, 1)) + words((5, 6, 0), 4)
        assert await bench.request(1, reads(4 * 998, 4)) == end
        on = bytes((2, 4, 2)) + words((5, 6, 0, 0), 4)
        assert await bench.request(2, reads(4 * 998, 4, 2)) == on

    run(scenario)


def test_requests_of_a_wrong_length_are_not_done():
    wrong = [b"", b"\0", reads(0, 0), reads(0, 29), reads(0, 1) + b"\0", reads(0, 1, 1)]

    async def scenario(bench):
        await bench.hello()
        for seq, payload in enumerate([*wrong, reads(0, 200), bytes((1, 2)) + bytes(8)], 1):
            assert (await bench.request(seq, payload))[1:] == bytes(2)
        assert await bench.request(9, reads(400, 28)) == bytes((0, 28, 0)) + bytes(4 * 28)

    run(scenario)


@pytest.mark.parametrize("rhythm", RHYTHMS[::7])
def test_records_cross_frames_and_outputs_come_back(rhythm):
    rng = random.Random(1)
    steps = [[rng.randrange(65536) for _ in range(3)] for _ in range(40)]
    stream = words(itertools.chain(*steps))

    async def scenario(bench):
        await bench.hello()
        seq, ack, got, at = 0, 0, b"", 0
        while len(got) < len(stream):
            if at < len(stream):
                size = rng.randrange(1, 120)
                await bench.say(Kind.STEPS, seq, b"\1" + stream[at : at + size], ack)
                at, seq = at + size, seq + 1
            frame = await bench.frame()
            while frame.ack != seq % 256 or frame.room < 2:
                if frame.kind == Kind.OUTPUT:
                    assert frame.seq == ack
                    got, ack = got + frame.payload, ack + 1
                    await bench.say(Kind.ACK, ack=ack)
                frame = await bench.frame()
            if frame.kind == Kind.OUTPUT:
                got, ack = got + frame.payload, ack + 1
                await bench.say(Kind.ACK, ack=ack)
        assert got == words(word + 1 for step in steps for word in step)

    bench = run(scenario, **rhythm)
    assert bench.beats == [
        (word, place == 2, 1) for step in steps for place, word in enumerate(step)
    ]


def test_a_hole_is_told_once_and_filled():
    async def scenario(bench):
        await bench.hello()
        step = b"\1" + words((1, 2, 3))
        for seq in (0, 2, 3, 4):  # 1 is lost
            await bench.say(Kind.STEPS, seq, step)
        gap = await bench.frame(Kind.GAP)
        assert gap.ack == 1
        for seq in (2, 3):  # and again
            await bench.say(Kind.STEPS, seq, step)
        assert (await bench.frame(Kind.GAP)).ack == 1
        await bench.say(Kind.STEPS, 0, step)  # one from before
        frame = await bench.frame(Kind.DEVICE_ACK, Kind.GAP)
        assert (frame.kind, frame.ack) == (Kind.DEVICE_ACK, 1)
        for seq in (1, 2, 3, 4):
            await bench.say(Kind.STEPS, seq, step)
        while (await bench.frame()).ack != 5:
            pass
        while bench.heard:
            assert (await bench.frame()).kind != Kind.GAP

    assert len(run(scenario).beats) == 15


@pytest.mark.parametrize("spec", [SMALL, LinkSpec(1, 1, 16, 16)])
def test_no_frame_is_taken_without_room(spec):
    async def scenario(bench):
        await bench.hello()
        bench.blocked = True
        for seq in range(spec.slots + 2):
            await bench.say(Kind.STEPS, seq, b"\0" + words(range(3)))
        for _ in range(300):
            await bench.ctx.tick()
        last = [await bench.frame() for _ in range(len(bench.heard))][-1]
        assert (last.ack, last.room) == (spec.slots, 0)
        bench.blocked = False
        while (await bench.frame()).room != spec.slots:
            pass

    assert len(run(scenario, spec).beats) == 3 * spec.slots


def test_outputs_are_kept_until_they_are_acknowledged():
    async def scenario(bench):
        await bench.hello()
        bench.words += [(place, place % 2) for place in range(400)]
        seen = {}
        for _ in range(4):
            frame = await bench.frame(Kind.OUTPUT)
            seen[frame.seq] = frame.payload
        assert sorted(seen) == [0, 1, 2, 3]
        for _ in range(600):
            await bench.ctx.tick()
        assert not [frame for frame in bench.heard if frame.kind == Kind.OUTPUT]
        await bench.say(Kind.RESEND, ack=1)
        for seq in (1, 2, 3, 4):
            frame = await bench.frame(Kind.OUTPUT)
            assert frame.seq == seq
            assert seen.setdefault(seq, frame.payload) == frame.payload
        await bench.say(Kind.RESEND, ack=7)  # of what was never sent: counts for nothing
        assert not await _output(bench)
        await bench.say(Kind.ACK, ack=3)
        assert (await bench.frame(Kind.OUTPUT)).seq == 5

    run(scenario)


def test_a_line_that_stands_still_loses_nothing():
    """With frames as long as they can be, and one more request waiting to be answered."""

    async def scenario(bench):
        await bench.hello()
        bench.words += [(place, place % 2) for place in range(480)]
        bench.stalls = 1.0
        for _ in range(1500):
            await bench.ctx.tick()
        await bench.say(Kind.REQUEST, 1, reads(0, 28))
        for _ in range(500):
            await bench.ctx.tick()
        bench.stalls = 0.0
        got, kinds = b"", set()
        while len(got) < 960:
            frame = await bench.frame()
            kinds.add(frame.kind)
            if frame.kind == Kind.OUTPUT:
                got += frame.payload
                await bench.say(Kind.ACK, ack=frame.seq + 1)
        assert got == words(range(480))
        assert Kind.RESPONSE in kinds

    run(scenario, LinkSpec(3, 2, 16, 16))


async def _output(bench) -> list[Frame]:
    for _ in range(600):
        await bench.ctx.tick()
    found = [frame for frame in bench.heard if frame.kind == Kind.OUTPUT]
    bench.heard.clear()
    return found


def test_a_poll_is_answered_by_ack_behind_the_frames():
    async def scenario(bench):
        await bench.hello()
        bench.words += [(1, 0), (2, 1)]
        first = await bench.frame(Kind.OUTPUT)
        await bench.say(Kind.RESEND, ack=0)
        assert await bench.frame() == first
        assert (await bench.frame()).kind == Kind.DEVICE_ACK
        await bench.say(Kind.RESEND, ack=1)
        assert (await bench.frame()).kind == Kind.DEVICE_ACK

    run(scenario)


def test_a_frame_that_was_begun_is_closed_or_cleared():
    """Frames have 3 words; never does a cut one come out as a whole one."""

    async def scenario(bench):
        for taken, clear in itertools.product(range(1, 6), (0, 1)):
            await bench.hello()
            bench.beats.clear()
            await bench.say(Kind.STEPS, 0, b"\1" + words(range(10, 10 + taken)))
            while len(bench.beats) < taken:
                await bench.ctx.tick()
            await bench.hello(clear=clear)
            await bench.say(Kind.STEPS, 0, b"\0" + words((1, 2, 3)))
            while bench.beats[-1] != (3, 1, 0):
                await bench.ctx.tick()
            if clear:
                assert bench.beats[taken:] == [(1, 0, 0), (2, 0, 0), (3, 1, 0)]
                continue
            lengths = [len(frame) for frame in _frames(bench.beats)]
            left = taken % 3
            closed = [2 * left] if left else []  # more words than came, but never 3
            assert lengths == [3] * (taken >= 3) + closed + [3]

    run(scenario)


def _frames(beats) -> list[list[int]]:
    frames, frame = [], []
    for word, last, _ in beats:
        frame.append(word)
        if last:
            frames.append(frame)
            frame = []
    assert not frame
    return frames


def test_a_session_begins_with_a_whole_output_frame():
    async def scenario(bench):
        bench.words += [(place, place % 4 == 3) for place in range(40)]
        while bench.words:  # nobody is there to hear them
            await bench.ctx.tick()
        await bench.hello(clear=0)
        for clear in (0, 1):
            bench.words += [(1, 0), (2, 0)]
            while bench.words:
                await bench.ctx.tick()
            await bench.hello(clear=clear)
            bench.words += [(3, 0), (4, 1), (5, 0), (6, 1)]
            frame = await bench.frame(Kind.OUTPUT)
            assert frame.payload == words((3, 4, 5, 6) if clear else (5, 6))
            assert frame.seq == 0

    run(scenario)


def test_a_request_at_work_is_not_followed_by_another_of_its_session():
    async def scenario(bench):
        await bench.hello()
        bench.writes.clear()
        bench.slow = 0.9
        write = bytes((1, 20)) + (400).to_bytes(4, "little") + words(range(20), 4)
        await bench.say(Kind.REQUEST, 1, write)
        while len(bench.writes) < 3:
            await bench.ctx.tick()
        await bench.hello(session=9)
        assert 3 <= len(bench.writes) <= 6
        assert bench.writes[-1] == (CONTROL, 2)
        bench.writes.clear()
        await bench.say(Kind.REQUEST, 1, reads(400, 2), session=9)
        assert (await bench.frame(Kind.RESPONSE)).payload[:3] == bytes((0, 2, 0))
        assert not bench.writes

    run(scenario)


@pytest.mark.parametrize("rhythm", RHYTHMS[::7])
def test_targets_and_probes_pass(rhythm):
    async def scenario(bench):
        await bench.hello()
        record = words((-5, 70000), 3) + words((1, 2, 3))
        await bench.say(Kind.STEPS, 0, b"\x03" + record[:7])
        await bench.say(Kind.STEPS, 1, b"\x0b" + record[7:] + record)
        await bench.say(Kind.STEPS, 2, b"\x04" + words((4, 5, 6)))
        while len(bench.beats) < 9:
            await bench.ctx.tick()
        got = b""
        while len(got) < 27:
            frame = await bench.frame(Kind.OUTPUT)
            got += frame.payload
            await bench.say(Kind.ACK, ack=frame.seq + 1)
        assert got == words((2, 3, 4, 2, 3, 4, 5, 6, 7), 3)
        bench.probes += [(k, k << 16) for k in range(20)]
        probes = b""
        while len(probes) < 160:
            frame = await bench.frame(Kind.PROBE)
            probes += frame.payload
            await bench.say(Kind.ACK, ack=frame.seq + 1)
        assert probes == b"".join(words((k, k << 16), 4) for k in range(20))

    bench = run(scenario, LEARNS, **rhythm)
    assert [beat[2] for beat in bench.beats] == [3] * 6 + [4] * 3
    mask = (1 << 24) - 1
    assert bench.aims == [(-5 & mask, 0, 0), (70000, 1, 0), (-5 & mask, 0, 1), (70000, 1, 1)]


def test_a_step_cut_behind_its_target_clears_the_chip():
    async def scenario(bench):
        await bench.hello()
        bench.writes.clear()
        await bench.say(Kind.STEPS, 0, b"\x03" + words((1, 2), 3) + words((1,)))
        while not bench.beats:
            await bench.ctx.tick()
        assert (await bench.hello(clear=0)).seq == 1
        assert bench.writes == [(CONTROL, 2)]
        assert (await bench.hello(clear=0)).seq == 0

    run(scenario, LEARNS)


def test_damaged_frames_are_counted_and_nothing_else():
    rng = random.Random(3)
    good = encode(Frame(Kind.STEPS, SESSION, 0, 0, b"\0" + words((1, 2, 3))))
    bad = [b"\5\1\2\3\0", b"\1\0", encode(Frame(0, 0))[:4] + b"\0", bytes(range(1, 256)) + b"\0"]
    for _ in range(20):
        place, other = rng.randrange(len(good) - 1), rng.randrange(1, 256)
        bad.append(good[:place] + bytes((other ^ good[place] or 1,)) + good[place + 1 :])
    bad.append(encode(Frame(Kind.STEPS, SESSION, 0, 0, bytes(121))))  # whole, but too long
    bad.append(b"\1\1\1\2\x0a" + b"\0")

    async def scenario(bench):
        await bench.hello()
        for data in bad:
            await bench.send(data)
        await bench.send(b"\0\0\0" + good)
        assert (await bench.frame()).ack == 1

    bench = run(scenario)
    assert len(bench.beats) == 3
    assert bench.damaged >= len(bad)
