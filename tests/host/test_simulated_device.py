"""The link of the real circuit, on a line that fails: nothing lost or doubled, errors that end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SEED, SOAK
from link_device import NoisyLine

from vle.compiler import compile_model
from vle.compiler.bundle.manifest import describe
from vle.errors import DeviceError, TransportError
from vle.host import open_device
from vle.host.bundle import Bundle
from vle.host.device import Device
from vle.host.link.frames import Decoder, Frame, Kind, encode
from vle.host.link.records import WordBytes, payloads
from vle.host.link.session import Session
from vle.host.link.simulated_line import SimulatedLine
from vle.host.link.transport import LinkTransport
from vle.host.transport import Lesson
from vle.hw import verilog
from vle.sim import Layer, Network

FRAMES = 10_000 if SOAK else 600  # on the line, each way


@pytest.fixture(scope="module")
def design():
    rng = np.random.default_rng(0)
    hidden = Layer(rng.normal(size=(5, 3)), np.zeros(5), 1.0, 0.4, "relu")
    output = Layer(rng.normal(0, 0.5, (3, 5)), np.zeros(3), 0.4, 0.4, "identity")
    network = Network((hidden, output), dt=0.1)
    return compile_model(network, input_range=(-1, 1), lanes=5)


@pytest.fixture(scope="module")
def texts(design):
    return verilog.generate(design.chip), verilog.generate_device(design.chip)


@pytest.fixture
def line(texts):
    opened = SimulatedLine(*texts)
    yield opened
    opened.close()


def device_on(line, design) -> Device:
    bundle = Bundle.of_json(describe(design.chip, design.reference), Path())
    return Device(bundle, LinkTransport.of(Session(line), bundle))


def signal(steps: int) -> np.ndarray:
    return np.random.default_rng(SEED).uniform(-1, 1, (steps, 3))


@pytest.mark.parametrize("chance", [0, 2.5e-4, 1e-3])
def test_every_result_is_right(line, design, chance):
    """Bytes flipped, dropped, doubled, inserted, each with this chance, both ways."""
    noisy = NoisyLine(line, chance, SEED)
    device = device_on(noisy, design)
    session, before = device.transport.session, device.steps
    x = signal(FRAMES * 40)  # as many fill a frame
    noisy.bytes = [0, 0]
    begin = line.cycle
    assert np.array_equal(device.run(x, aligned=False), design.run(x, aligned=False))
    assert device.steps - before == len(x)
    assert device.frame_errors == 0
    assert min(session.incoming.taken, session.outgoing.sent) >= FRAMES
    assert (noisy.out.events > FRAMES // 20) == (chance > 0)
    if not chance:
        assert (session.damaged, session.outgoing.resent, session.incoming.repeated) == (0, 0, 0)
    print(
        f"{chance:g} of each: {session.outgoing.sent} frames to the device,"
        f" {session.outgoing.resent} of them again, {session.incoming.taken} taken from it,"
        f" {session.damaged} damaged, {session.incoming.repeated} repeated; goodput"
        f" {12 * len(x) / sum(noisy.bytes):.3f} of the bytes on the line,"
        f" {len(x) / (line.cycle - begin):.4f} steps per cycle"
    )


@pytest.mark.parametrize("chance", [2.5e-4, 1e-3])
def test_registers_and_memories_on_a_bad_line(line, design, chance):
    noisy = NoisyLine(line, chance, SEED)
    device = device_on(noisy, design)
    kept = device.read_parameters()
    for k in range(20 if SOAK else 3):
        words = [type(p)(**{**vars(p), "bias": p.bias + k + 1}) for p in kept]
        device.write_parameters(words)
        for got, want in zip(device.read_parameters(), words, strict=True):
            assert np.array_equal(got.bias, want.bias)
            assert np.array_equal(got.weight, want.weight)
    device.write_parameters(kept)
    x = signal(50)
    assert np.array_equal(device.run(x, aligned=False), design.run(x, aligned=False))
    assert noisy.out.events


class Resetting:
    """A line to a device that is reset after some bytes."""

    def __init__(self, line, after: int) -> None:
        self.line, self.after = line, after
        self.name, self.timing, self.now = line.name, line.timing, line.now
        self.close = line.close

    def write(self, data: bytes) -> None:
        self.after -= len(data)
        if self.after < 0:
            self.line.write(data[: len(data) // 3])  # in mid-frame
            self.line.read(1e-3)
            self.line.reset()
            self.after = 1 << 60
        else:
            self.line.write(data)

    def read(self, seconds: float) -> bytes:
        return self.line.read(seconds)


@pytest.mark.parametrize("after", [500, 3000, 20000])
def test_a_reset_in_mid_run(line, design, after):
    with pytest.raises(TransportError, match="the device was reset, its state is lost"):
        device_on(Resetting(line, after), design).run(signal(9000))
    x = signal(100)
    got = device_on(line, design).run(x, aligned=False)
    assert np.array_equal(got, design.run(x, aligned=False))


@pytest.mark.parametrize("cut", [1, 17, 250, 900])
def test_a_host_that_was_killed(line, design, cut):
    """In mid-frame; the next one has a chip whose state is 0."""
    device = device_on(line, design)
    device.reset()
    number, payload = device.transport.session.number, b"\0" + bytes(range(1, 239))
    frames = [encode(Frame(Kind.STEPS, number, seq, 0, payload)) for seq in range(8)]
    line.write(b"".join(frames)[:cut])
    line.read(1e-3)
    device = device_on(line, design)
    assert device.transport.session.limits.cleared
    x = signal(60)
    assert np.array_equal(device.run(x, aligned=False), design.run(x, aligned=False))


def test_frames_behind_a_request_leave_it_alone(line, design):
    """A request is executed while other frames come, at any distance."""
    session = device_on(line, design).transport.session
    read = bytes((0, 40)) + (0x8000_0000).to_bytes(4, "little")  # four registers, and no more
    for gap in range(0, 60, 3):
        number, ack = session.number, session.incoming.expected
        session._request_seq = (session._request_seq + 1) % 256
        asked = Frame(Kind.REQUEST, number, session._request_seq, ack, read)
        line.write(encode(asked) + b"\0" * gap + encode(Frame(Kind.ACK, number, 0, ack)) * 5)
        frames = Decoder().feed(line.read(0.01) + line.read(1e-3) + line.read(1e-3))
        (answer,) = [frame.payload for frame in frames if frame.kind == Kind.RESPONSE]
        assert answer[:3] == bytes((0, 5, 1)), gap
        assert answer[3:7] == b"BELV"


def test_the_board_s_registers(line, design):
    device = device_on(line, design)
    assert device.transport.read([0x8000_0000, 0x8000_0004]).tolist() == [0x564C4542, 1]
    with pytest.raises(DeviceError, match="0x80000010: read was refused"):
        device.transport.read([0x8000_0010])


def test_two_hosts(line, design):
    first = device_on(line, design)
    second = device_on(line, design)
    while second.transport.session.number == first.transport.session.number:
        second = device_on(line, design)
    with pytest.raises(TransportError, match="another host has taken the device"):
        first.run(signal(9))
    x = signal(60)
    assert np.array_equal(second.run(x, aligned=False), design.run(x, aligned=False))


def test_a_session_that_does_not_clear(line, design):
    """It goes on with the state of the one before, and hears none of its answers."""
    x = signal(90)
    want = design.run(x, aligned=False)
    first = device_on(line, design)
    assert np.array_equal(first.run(x[:50], aligned=False), want[:50])
    raw = design.input_format.quantize(x[50:70]).astype(np.int32)
    session = first.transport.session
    none = np.zeros(20, np.bool_)
    lesson = Lesson(raw, none, none, none, np.zeros((0, 3), np.int32), none[:0])
    session.put(payloads(lesson, WordBytes(2, 2, 2), 240))
    session.until(lambda: session.outgoing.empty)  # and nobody waits for the answers
    session = Session(line, clear=False)
    assert not session.limits.cleared
    transport = LinkTransport.of(session, first.bundle)
    second = Device(first.bundle, transport)
    second.chip.until_idle()
    transport.drop()
    got = second.run(x[70:], aligned=False, reset=False)
    assert np.array_equal(got, want[70:])


def test_a_closed_line_says_so(texts):
    line = SimulatedLine(*texts)
    line.close()
    line.close()
    with pytest.raises(TransportError, match="the device is closed"):
        line.read(1.0)


def test_open_and_closed_again(design, tmp_path):
    design.save(tmp_path / "bundle", verilog=True)
    x = signal(40)
    for _ in range(3):
        with open_device(f"sim:{tmp_path / 'bundle'}") as device:
            assert np.array_equal(device.run(x), design.run(x))
    with open_device(f"axi:{tmp_path / 'bundle'}") as device:
        assert np.array_equal(device.run(x), design.run(x))
        assert device.transport.frame_cycles.size
    with pytest.raises(ValueError, match="bundle must be None for sim:DIR"):
        open_device(f"sim:{tmp_path / 'bundle'}", bundle=tmp_path / "bundle")
