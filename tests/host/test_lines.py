"""Boards at a serial port or an SPI, and all that can go wrong with them."""

from __future__ import annotations

import json
import time

import learning_nets as nets
import numpy as np
import pytest
from compiled_chip import LearningChip, StillChip
from link_device import LinkDevice, ModelLine
from serial_ports import Port, heard

from vle.cache import known_bundle
from vle.compiler import compile_model
from vle.errors import DeviceError, TransportError
from vle.host import open_device
from vle.host.link import serial_line, spi_line
from vle.host.link.line import Timing
from vle.host.link.session import Session
from vle.host.link.spi_line import SpiLine
from vle.sim import Activation, Layer, Network

SOON = Timing(0.1, 0.6, 1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A design and the folder of its bundle, without Verilog: a board needs none."""
    rng = np.random.default_rng(3)
    hidden = Layer(rng.normal(size=(6, 2)), np.zeros(6), 2.0, 1.0, Activation("tanh"))
    output = Layer(rng.normal(0, 0.5, (3, 6)), np.zeros(3), 1.0, 0.5, Activation("identity"))
    network = Network((hidden, output), dt=0.5)
    design = compile_model(network, input_range=(-1.0, 1.0), lanes=4)
    folder = tmp_path_factory.mktemp("board") / "bundle"
    design.save(folder)
    return design, folder


@pytest.fixture
def device(made):
    return LinkDevice(StillChip(made[0].chip))


@pytest.fixture(autouse=True)
def _soon(monkeypatch, tmp_path):
    monkeypatch.setattr(serial_line, "timing_of", lambda baud: SOON)
    monkeypatch.setattr(spi_line.SpiLine, "timing", SOON)
    monkeypatch.setenv("VLE_CACHE", str(tmp_path / "cache"))


def signal(steps: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, (steps, 2))


def soon(so) -> bool:
    end = time.monotonic() + 5
    while not so() and time.monotonic() < end:
        time.sleep(0.01)
    return so()


def works(port: Port, made) -> bool:
    with open_device(f"serial:{port.path}", bundle=made[1]) as opened:
        return np.array_equal(opened.run(signal(30)), made[0].run(signal(30)))


def test_a_board_at_a_serial_port(made, device):
    with Port(device) as port:
        with open_device(f"serial:{port.path}?baud=1000000", bundle=made[1]) as opened:
            assert np.array_equal(opened.run(signal(60)), made[0].run(signal(60)))
            with opened.chip.halted():
                weight = opened.chip.get("weight", 0)
            assert np.array_equal(weight, made[0].network.layers[0].weight)
        assert soon(lambda: device.session == 0)
        assert works(port, made)  # and now the bundle is known
        assert known_bundle(opened.bundle.map.hash) == made[1].resolve()
        with open_device(f"serial:{port.path}") as opened:
            assert opened.bundle.folder == made[1].resolve()


def test_a_board_that_learns(tmp_path):
    design = nets.design(nets.network())
    design.save(tmp_path / "bundle")
    x, y = nets.signal(40)
    with (
        Port(LinkDevice(LearningChip(design.chip))) as port,
        open_device(f"serial:{port.path}", bundle=tmp_path / "bundle") as opened,
    ):
        assert np.array_equal(opened.learn(x, y), design.learn(x, y))
        assert np.array_equal(opened.run(x), design.run(x))


def test_a_design_that_nobody_knows(device):
    with Port(device) as port, pytest.raises(TransportError, match="not known on this machine"):
        open_device(f"serial:{port.path}")


def test_the_cable_is_pulled(made, device):
    for after in (0, 300, 2000):
        with Port(device) as port:
            opened = open_device(f"serial:{port.path}", bundle=made[1])
            port.pull_after, begin = port.bytes + after, time.monotonic()
            with pytest.raises(TransportError, match=rf"{port.path}.*(gone|takes no bytes)"):
                opened.run(signal(9000))
            assert time.monotonic() - begin < SOON.patience + 2
            with pytest.raises(TransportError, match=r"the session is over.*gone"):
                opened.run(signal(1))
            opened.close()
        with Port(device) as port:
            assert works(port, made)


def test_the_device_is_silent(made, device):
    """The cable is pulled at its other end: the port is there, and nobody answers."""
    with Port(device) as port:
        with open_device(f"serial:{port.path}", bundle=made[1]) as opened:
            port.device, begin = None, time.monotonic()
            with pytest.raises(TransportError, match=rf"{port.path} at 1000000.*said nothing for"):
                opened.run(signal(5))
            assert time.monotonic() - begin < SOON.silence + 1
        with pytest.raises(TransportError, match=r"not a byte has come: is it on"):
            open_device(f"serial:{port.path}", bundle=made[1])
        port.device = device
        assert works(port, made)


def test_the_device_is_reset(made, device, monkeypatch):
    step, steps = device.chip.step, []

    def resetting(*arguments):
        steps.append(0)
        if len(steps) == 100:
            device.reset()
        return step(*arguments)

    monkeypatch.setattr(device.chip, "step", resetting)
    with Port(device) as port:
        with (
            open_device(f"serial:{port.path}", bundle=made[1]) as opened,
            pytest.raises(TransportError, match="the device was reset, its state is lost"),
        ):
            opened.run(signal(3000))
        assert works(port, made)


def test_a_chip_that_stands_still(made, device):
    """Answers to requests come, those to frames do not."""
    device.eager = False
    with Port(device) as port:
        with open_device(f"serial:{port.path}", bundle=made[1]) as opened:
            begin = time.monotonic()
            with pytest.raises(TransportError, match=r"the chip has stood still for 1\.\d s"):
                opened.run(signal(5))
            assert time.monotonic() - begin < SOON.patience + 1
        device.eager = True
        assert works(port, made)


def test_a_register_that_takes_long(made, device, monkeypatch):
    """Longer than a device may be silent: it is asked whether it is there, and is."""
    asked, now, until = device.asked, time.monotonic, [0.0]
    monkeypatch.setattr(device, "asked", lambda f: asked(f) if now() > until[0] else b"")
    with Port(device) as port, open_device(f"serial:{port.path}", bundle=made[1]) as opened:
        until[0] = now() + 1.2 * SOON.silence
        assert opened.chip.read("ID") == 0x564C4531
        assert now() > until[0]
        until[0] = now() + 100
        with pytest.raises(TransportError, match="the chip has stood still"):
            opened.chip.read("ID")


def test_another_bitstream(made, device):
    chip = device.chip
    chip.words[8] ^= 1
    with Port(device) as port:
        with pytest.raises(DeviceError, match=r"HASH at 0x8: .*the device runs another design"):
            open_device(f"serial:{port.path}", bundle=made[1])
        chip.words[8] ^= 1
        chip.words[0] = 0xBAD
        for bundle in (made[1], None):
            with pytest.raises(DeviceError, match="ID at 0x0: must be 0x564c4531"):
                open_device(f"serial:{port.path}", bundle=bundle)
        chip.words[0] = 0x564C4531
        assert works(port, made)


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_of_the_link(made, device, version):
    device.version = version
    with Port(device) as port:
        with pytest.raises(DeviceError, match=f"version of the link must be 1, not {version}"):
            open_device(f"serial:{port.path}", bundle=made[1])
        device.version = 1
        assert works(port, made)


@pytest.mark.parametrize("baud", [115200, 230400, 500000, 921600, 2000000, 3000000])
def test_the_wrong_rate(made, device, baud):
    with Port(device) as port:
        begin = time.monotonic()
        with pytest.raises(TransportError, match=rf"{port.path} at {baud} baud.*baud rate"):
            open_device(f"serial:{port.path}?baud={baud}", bundle=made[1])
        assert time.monotonic() - begin < SOON.silence + 1
        assert works(port, made)


class Chatty:
    """A device that talks all the time, at a rate of its own."""

    def receive(self, data: bytes) -> bytes:
        return bytes(range(256)) if data else b""


def test_what_does_not_decode_is_named(made):
    with Port(Chatty()) as port:
        for baud in (1_000_000, 115200):
            with pytest.raises(TransportError, match=r"bytes came, but no frame: is the baud rate"):
                open_device(f"serial:{port.path}?baud={baud}", bundle=made[1])


def test_a_uart_hears_what_was_sent():
    data = bytes(range(256))
    for rate in (0.98, 1.02):
        assert heard(data, 1e6 * rate, 1e6) == data
    assert heard(data, 2e6, 1e6) != data


def test_two_hosts_at_one_port(made, device):
    with Port(device) as port:
        with open_device(f"serial:{port.path}", bundle=made[1]) as first:
            with pytest.raises(TransportError, match=f"{port.path}: another program is using it"):
                open_device(f"serial:{port.path}", bundle=made[1])
            assert np.array_equal(first.run(signal(9)), made[0].run(signal(9)))
        assert works(port, made)


def test_two_hosts_at_two_ports(made, device):
    first = open_device(ModelLine(device), bundle=made[1])
    while True:
        second = open_device(ModelLine(device), bundle=made[1])
        if second.transport.session.number != first.transport.session.number:
            break
    with pytest.raises(TransportError, match="another host has taken the device"):
        first.run(signal(9))
    assert np.array_equal(second.run(signal(9)), made[0].run(signal(9)))
    first.close()  # and does not end the session of the other
    assert device.session == second.transport.session.number
    assert np.array_equal(second.run(signal(9)), made[0].run(signal(9)))


def test_a_board_with_empty_memories_is_loaded(made, device, tmp_path, monkeypatch):
    design, folder = made
    loaded = []
    monkeypatch.setattr("vle.host.open.Device.write_parameters", lambda d, w: loaded.append(w))
    plain = json.loads((folder / "design.json").read_text())
    plain["board"] = {"name": "icebreaker", "weights_volatile": True}
    (tmp_path / "design.json").write_text(json.dumps(plain))
    (tmp_path / "params.npz").write_bytes((folder / "params.npz").read_bytes())
    with open_device(ModelLine(device), bundle=tmp_path):
        pass
    (layers,) = loaded
    for words, layer in zip(layers, design.network.layers, strict=True):
        for kind in ("weight", "scale", "bias", "alpha", "rho"):
            assert np.array_equal(getattr(words, kind), getattr(layer, kind)), kind


class Bus:
    """A master of an SPI, and a device behind it."""

    def __init__(self, device, *, gone: bool = False) -> None:
        self.device, self.out, self.gone, self.closed = device, b"", gone, False

    def xfer2(self, data: list[int]) -> list[int]:
        if self.gone:
            raise OSError("no bus")
        self.out += self.device.receive(bytes(data))
        got, self.out = self.out[: len(data)], self.out[len(data) :]
        return list(got.ljust(len(data), b"\0"))

    def close(self) -> None:
        self.closed = True


def test_a_board_at_an_spi(made, device):
    bus = Bus(device)
    with open_device(SpiLine(bus), bundle=made[1]) as opened:
        assert np.array_equal(opened.run(signal(300)), made[0].run(signal(300)))
        assert opened.transport.session.damaged == 0
    assert bus.closed
    with pytest.raises(TransportError, match="spi: no device answers"):
        open_device(SpiLine(Bus(Deaf())))
    with pytest.raises(TransportError, match="the bus is gone"):
        Session(SpiLine(Bus(device, gone=True)))


class Deaf:
    """No device at all."""

    def receive(self, data: bytes) -> bytes:
        return b""


def test_a_line_of_ones_own_must_be_one():
    with pytest.raises(TypeError, match="address must be a str, not 5"):
        open_device(5)
