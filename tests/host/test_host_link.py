"""The host's side of docs/link.md against the device's side in Python: nothing lost or doubled."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
import pytest
from cobs import cobs
from conftest import SEED, SOAK
from hypothesis import given
from hypothesis import strategies as st
from link_device import LinkDevice, ModelLine, NoisyLine, ToyChip

from vle.errors import DeviceError, TransportError
from vle.host.link.frames import LONGEST, Decoder, Frame, Kind, decode, encode
from vle.host.link.line import Timing
from vle.host.link.records import WordBytes, payloads, words_of
from vle.host.link.requests import Registers
from vle.host.link.session import Session
from vle.host.link.transport import LinkTransport
from vle.host.transport import Lesson

SIZES = WordBytes(2, 2, 2)


def opened(line) -> LinkTransport:
    return LinkTransport(Session(line, number=7), SIZES)


def lesson(steps: int, inputs: int, outputs: int, seed: int = SEED) -> Lesson:
    """Steps of all kinds, those of one kind one or several after the other."""
    rng = np.random.default_rng(seed)
    start, freeze, has_target = np.repeat(rng.random((3, steps)) < 0.5, 3, axis=1)[:, :steps]
    count = int(has_target.sum())
    words = {"low": -(1 << 15), "high": 1 << 15, "dtype": np.int32}
    frames = rng.integers(size=(steps, inputs), **words)
    targets = rng.integers(size=(count, outputs), **words)
    return Lesson(frames, start, freeze, has_target, targets, rng.random(count) < 0.5)


def answers(given: Lesson, outputs: int) -> np.ndarray:
    chip, targets = ToyChip(given.frames.shape[1], outputs), iter(given.targets)
    errors, found = iter(given.is_error), []
    for x, start, freeze, told in zip(
        given.frames, given.start, given.freeze, given.has_target, strict=True
    ):
        flags = start + 2 * told + 4 * freeze + 8 * bool(told and next(errors))
        found.append(chip.step(int(flags), x, next(targets) if told else None))
    return np.array(found)


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255), st.integers(0, 15))
def test_frames_come_back(payload, session, seq, room):
    frame = Frame(Kind.OUTPUT, session, seq, 255 - seq, payload, room)
    line = encode(frame)
    assert line[-1] == 0
    assert 0 not in line[:-1]
    body = cobs.decode(line[:-1])
    assert body[:4] == bytes((Kind.OUTPUT << 4 | room, session, seq, 255 - seq))
    assert int.from_bytes(body[-4:], "little") == zlib.crc32(body[:-4])
    decoder = Decoder()
    cut = len(line) // 2
    assert decoder.feed(b"\0\0" + line[:cut]) == []
    assert decoder.feed(line[cut:] + line) == [frame, frame]
    assert (decoder.damaged, decoder.frames) == (0, 2)


@given(st.binary(max_size=60))
def test_noise_is_no_frame(noise):
    decoder = Decoder()
    assert decoder.feed(noise + b"\0" + encode(Frame(Kind.ACK, 1)))[-1:] == [Frame(Kind.ACK, 1)]
    assert decoder.frames == 1
    assert decoder.damaged == sum(map(bool, noise.split(b"\0")))


def test_every_damaged_bit_is_noticed():
    line = encode(Frame(Kind.STEPS, 3, 4, 5, bytes(range(40))))
    for bit in range(8 * (len(line) - 1)):
        wrong = bytearray(line)
        wrong[bit // 8] ^= 1 << bit % 8
        assert Decoder().feed(bytes(wrong)) == []
    assert decode(b"\x01") is None
    assert decode(b"\x02") is None


def test_a_line_that_never_ends_a_frame_takes_no_memory():
    decoder = Decoder()
    for _ in range(100):
        assert decoder.feed(b"x" * LONGEST) == []
    assert len(decoder._rest) <= LONGEST + 1
    assert decoder.feed(b"\0" + encode(Frame(Kind.ACK, 1))) == [Frame(Kind.ACK, 1)]
    assert decoder.damaged == 1


@given(st.integers(1, 4), st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=20))
def test_words_of_any_width(size, words):
    kept = [((w + (1 << 8 * size - 1)) % (1 << 8 * size)) - (1 << 8 * size - 1) for w in words]
    data = b"".join(int(w).to_bytes(size, "little", signed=True) for w in kept)
    assert words_of(data, size).tolist() == kept
    none = np.zeros(1, np.bool_)
    if words:
        made = Lesson(np.array([words], np.int32), none, none, none, np.zeros((0, 1)), none[:0])
        parts = list(payloads(made, WordBytes(size, 1, 1), 9))
        assert b"".join(part[1:] for part in parts) == data
        assert all(len(part) <= 9 and part[0] == 0 for part in parts)


def test_flags_are_those_of_the_frame_in_which_a_record_begins():
    given = lesson(200, 3, 2)
    device = LinkDevice(ToyChip(3, 2), payload=23)  # records of 6 and 10 bytes
    got = opened(ModelLine(device)).learn(given, 2)
    assert np.array_equal(got, answers(given, 2).astype(np.int32))


@pytest.mark.parametrize("slots", [(8, 8), (4, 4), (1, 1), (2, 15), (15, 2)])
@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("chance", [0, 1e-3])
def test_nothing_is_lost_or_doubled(slots, eager, chance):
    """Also where the device works slowly, so that there is no room, and with few slots."""
    chip = ToyChip(5, 3)
    device = LinkDevice(chip, payload=61, slots_in=slots[0], slots_out=slots[1], eager=eager)
    line = NoisyLine(ModelLine(device), chance, SEED)
    transport = opened(line)
    given = lesson(400, 5, 3)
    parts = [transport.learn(given.part(*cut), 3) for cut in pairwise((0, 1, 150, 150, 400))]
    assert np.array_equal(np.concatenate(parts), answers(given, 3).astype(np.int32))
    assert chip.steps == 400
    transport.close()
    if not chance:
        assert device.session == 0
        assert (transport.session.outgoing.resent, transport.session.incoming.repeated) == (0, 0)
    assert line.line.closed


def test_long_under_noise():
    """Ten thousand frames each way with a chance of 1e-3 per byte, and with one of 1e-3 of each."""
    for chance in (2.5e-4, 1e-3):
        frames = 10_000 if SOAK else 1_000
        chip = ToyChip(4, 4)
        line = NoisyLine(ModelLine(LinkDevice(chip, payload=120)), chance, SEED)
        given = lesson(frames * 119 // 8, 4, 4)
        quiet = np.zeros(len(given.frames), np.bool_)
        given = Lesson(given.frames, quiet, quiet, quiet, given.targets[:0], quiet[:0])
        transport = opened(line)
        got = transport.learn(given, 4)
        assert np.array_equal(got, answers(given, 4).astype(np.int32))
        session = transport.session
        assert session.incoming.taken >= frames
        assert line.out.events > frames // 100
        print(
            f"{chance:g} of each: {session.incoming.taken} frames, {session.damaged} damaged,"
            f" {session.outgoing.resent} sent again, {session.incoming.repeated} repeated,"
            f" goodput {16 * len(got) / sum(line.bytes):.3f} of the bytes on the line"
        )


def test_registers_are_read_in_runs():
    chip = ToyChip()
    transport = opened(ModelLine(LinkDevice(chip, payload=50)))  # 11 words
    where = np.array([[128, 132, 136], [0, 4, 8]])
    assert transport.read(where).tolist() == [32, 33, 34, 0, 1, 2]
    assert [address for address, _ in chip.accesses] == [0, 4, 8, 128, 132, 136]
    transport.write(4 * np.arange(17, -1, -1), np.arange(18) - 9)
    want = [(word - 9) & 0xFFFFFFFF for word in range(17, -1, -1)]
    assert transport.read(4 * np.arange(18)).tolist() == want
    assert transport.read([]).tolist() == []
    transport.write([], [])
    chip.accesses.clear()
    for call in (lambda: transport.read(4 * np.arange(40)), lambda: transport.write([72], 5)):
        with pytest.raises(DeviceError, match=r"0x48: (read|write) was refused") as refused:
            call()
        assert refused.value.address == 72
    assert chip.accesses[-2:] == [(72, None), (72, 5)]
    assert transport.read([4]).tolist() == [want[1]]


@pytest.mark.parametrize("chance", [2.5e-4, 2e-3])
def test_requests_are_made_once(chance):
    chip = ToyChip()
    transport = opened(NoisyLine(ModelLine(LinkDevice(chip)), chance, SEED))
    for word in range(600):
        transport.write([8], [word])
        assert transport.read([8]).tolist() == [word]
    assert len(chip.accesses) == 1200


class Misheard(LinkDevice):
    """Answers requests with something else."""

    said = b""

    def answer(self, asked: bytes) -> bytes:
        return self.said


@pytest.mark.parametrize(
    "said", [b"", b"\0\0\0", b"\0\2\0", b"\1\1\0", b"\0\1\0abc", b"\0\1\0abcde"]
)
def test_answers_that_do_not_fit_are_noticed(said):
    device = Misheard(ToyChip())
    device.said = said
    with pytest.raises(TransportError, match="an answer"):
        opened(ModelLine(device)).read([0])


def test_probes_are_all_there():
    for chance in (0, 1e-3):
        device = LinkDevice(ToyChip(probing=True), payload=24)
        transport = opened(NoisyLine(ModelLine(device), chance, SEED))
        frames = np.ones((50, 2), np.int32)
        transport.exchange(frames, np.zeros(50, bool), 1)
        assert transport.take_probes()["word"].tolist() == list(range(1, 51))
        assert transport.take_probes().size == 0


def test_answers_of_before_are_dropped():
    """A session that does not clear the chip first hears what was left of the one before."""
    device = LinkDevice(ToyChip(), eager=False)
    session = Session(ModelLine(device), number=3)
    session.put([bytes(241)[:161]])
    session.until(lambda: session.outgoing.empty)
    left = device.inbox.pop()
    transport = LinkTransport(Session(ModelLine(device), clear=False, number=4), SIZES)
    assert not transport.session.limits.cleared
    device.steps_of(left)  # as if these steps were inside the chip
    transport.drop()
    assert device.chip.steps == 40
    frames = np.ones((3, 2), np.int32)
    assert transport.exchange(frames, np.zeros(3, bool), 1).shape == (3, 1)


def test_a_sensor_that_never_stops_is_not_heard_for_ever(monkeypatch):
    """Whoever takes what is left over is done after the time of patience."""
    line = ModelLine(LinkDevice(ToyChip()))
    transport = opened(line)
    session, begin = transport.session, line.now()
    pump = session._pump

    def chattering(*arguments):
        if line.now() - begin > 100:
            pytest.fail("it is heard for ever")
        pump(*arguments)
        line.time += 0.01
        session.incoming.taken += 1  # one more frame, each time it is asked
        session.incoming.outputs += b"12"

    monkeypatch.setattr(session, "_pump", chattering)
    transport.drop()
    assert 0 < line.now() - begin < 2 * line.timing.patience
    assert not session.incoming.outputs


def test_an_interrupted_call_leaves_a_device_that_works(monkeypatch):
    device = LinkDevice(ToyChip())
    line = ModelLine(device)
    transport = opened(line)
    frames, start = np.ones((9999, 2), np.int32), np.zeros(9999, bool)
    read, calls = line.read, []

    def interrupted(seconds):
        calls.append(seconds)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return read(seconds)

    monkeypatch.setattr(line, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        transport.exchange(frames, start, 1)
    device.chip.steps = 0
    got = transport.exchange(frames[:9], start[:9], 1)
    want = answers(Lesson(frames[:9], *[start[:9]] * 3, np.zeros((0, 1)), start[:0]), 1)
    assert np.array_equal(got, want.astype(np.int32))
    assert device.chip.steps == 9


def sensed(device: LinkDevice, steps: int) -> np.ndarray:
    """Let the device take steps that nobody sent it."""
    return np.array([sense(device, k) for k in range(steps)])


def sense(device: LinkDevice, word: int) -> np.ndarray:
    before = len(device.waiting[Kind.OUTPUT])
    device.flags = 0
    device.step(np.full(device.chip.inputs, word))
    return np.frombuffer(device.waiting[Kind.OUTPUT][before:], "<i2").astype(np.int32)


@pytest.mark.parametrize("chance", [0, 1e-3])
def test_answers_to_a_sensor_are_taken_as_many_as_are_asked_for(chance):
    device = LinkDevice(ToyChip(2, 3), payload=240)
    transport = opened(NoisyLine(ModelLine(device), chance, SEED))
    want = sensed(device, 35)
    parts = [transport.listen(count, 3, None) for count in (1, 0, 20, 14)]
    assert np.array_equal(np.concatenate(parts), want)
    with pytest.raises(TransportError, match="model: the chip has stood still"):
        transport.listen(1, 3, None)
    with pytest.raises(TransportError, match="the session is over"):
        transport.listen(1, 3, None)


def test_a_listener_with_little_time_loses_nothing():
    device = LinkDevice(ToyChip(2, 3))
    line = ModelLine(device)
    transport, begin = opened(line), line.now()
    want = sensed(device, 5)
    with pytest.raises(TransportError, match="model: 5 of 9 answers have come within 7 s"):
        transport.listen(9, 3, 7.0)  # longer than patience: a sensor may be slow
    assert 7 <= line.now() - begin < 7.1
    want = np.concatenate([want, sensed(device, 4)])
    assert np.array_equal(transport.listen(9, 3, 7.0), want)
    device.receive = lambda data: b""
    with pytest.raises(TransportError, match="the device has said nothing"):
        transport.listen(1, 3, 60.0)


def test_answers_that_nobody_asked_for_end_the_session_and_the_next_call_works():
    device = LinkDevice(ToyChip())
    transport = opened(ModelLine(device))
    frames, start = np.ones((4, 2), np.int32), np.zeros(4, bool)
    sensed(device, 2)
    with pytest.raises(TransportError, match="the chip sent more than 4 frames"):
        transport.exchange(frames, start, 1)
    number = transport.session.number
    device.chip.steps = 0
    got = transport.exchange(frames, start, 1)
    assert np.array_equal(
        got, answers(Lesson(frames, *[start] * 3, np.zeros((0, 1)), start[:0]), 1)
    )
    assert not transport.session.incoming.outputs
    assert transport.session.number != number or transport.session.incoming.taken == 1
    assert transport.read([4]).tolist() == [1]


def test_a_session_that_could_not_begin_is_over_until_one_can(monkeypatch):
    device = LinkDevice(ToyChip())
    line = ModelLine(device)
    transport = opened(line)
    receive, read = device.receive, line.read
    monkeypatch.setattr(line, "read", lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        transport.read([4])
    with pytest.raises(KeyboardInterrupt):
        transport.read([4])  # within the beginning of the next session
    monkeypatch.setattr(line, "read", read)
    device.receive = lambda data: b""
    for _ in range(2):
        with pytest.raises(TransportError, match="no device answers"):
            transport.read([4])
    with pytest.raises(TransportError, match=r"the session is over.*: .*no device answers"):
        transport.session.request(b"")
    device.receive = receive
    assert transport.read([4]).tolist() == [1]


def test_timing_is_checked():
    for wrong in ((0, 1, 2), (2, 1, 3), (1, 3, 2)):
        with pytest.raises(ValueError, match="above 0 and rising"):
            Timing(*wrong)


def test_registers_need_no_bundle():
    session = Session(ModelLine(LinkDevice(ToyChip())))
    assert 1 <= session.number <= 255
    assert Registers(session).read([4]).tolist() == [1]
