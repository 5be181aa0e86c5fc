"""Frames of the host or of a sensor: no call takes the answers of one for those of the other."""

from __future__ import annotations

import asyncio

import learning_devices as devices
import numpy as np
import pytest

from vle.errors import DeviceError, TransportError
from vle.host import board
from vle.host.device import Device

CTRL = board.ADDRESS["SENSOR_CTRL"]


class Sensing:
    """A way to a chip whose board has a sensor, which has seen some frames."""

    def __init__(self, chip, frames=()) -> None:
        self.chip, self.left = chip, list(frames)
        self.words = {board.ADDRESS["BOARD_ID"]: board.IDENTITY, CTRL: 0}
        self.asked, self.missing = [], ()

    def __getattr__(self, name):
        return getattr(self.chip, name)

    def read(self, addresses):
        where = np.ravel(addresses).tolist()
        if where[0] < board.BASE:
            return self.chip.read(addresses)
        self.asked += where
        if where[0] in self.missing:
            raise DeviceError("was refused", address=where[0])
        return np.array([self.words[address] for address in where], np.uint32)

    def write(self, addresses, data):
        where = np.ravel(addresses).tolist()
        if where[0] < board.BASE:
            return self.chip.write(addresses, data)
        self.words[where[0]] = data[0]

    def listen(self, count, words, seconds):
        if count > len(self.left):
            raise TransportError(f"{len(self.left)} of {count} have come, {seconds} s")
        got, self.left = self.left[:count], self.left[count:]
        return np.array(got, np.int32).reshape(count, words)


@pytest.fixture
def device(tmp_path):
    plain, design = devices.opened("recurrent", tmp_path)
    outputs = plain.bundle.outputs
    frames = np.arange(6 * outputs).reshape(6, outputs)
    return Device(plain.bundle, Sensing(plain.transport, frames)), design, frames


def calls(device):
    x, y = devices.lesson("recurrent", 5)

    async def streamed():
        return [got async for got in device.stream(x)]

    return (
        lambda: device.run(x),
        lambda: device.run_raw(np.zeros(x.shape, np.int64)),
        lambda: device.learn(x, y),
        lambda: asyncio.run(streamed()),
    )


def test_a_sensor_answers_nothing_that_a_host_has_sent(device):
    device, _, _ = device
    device.board.sense()
    for call in calls(device):
        steps = device.chip.read("STEPS")
        with pytest.raises(DeviceError, match=r"the sensor is the source .*listen_to_host\(\)"):
            call()
        assert device.chip.read("STEPS") == steps
    device.board.listen_to_host()
    for call in calls(device):
        assert len(call()) == 5


def test_what_a_sensor_makes_of_it_is_listened_to(device):
    device, _, frames = device
    for call in (lambda: device.listen(1), lambda: device.listen_raw(1)):
        with pytest.raises(DeviceError, match=r"the host is the source .* board.sense\(\)"):
            call()
    device.board.sense()
    rate = device.bundle.layers[-1].rate
    assert np.array_equal(device.listen_raw(2), frames[:2])
    assert np.array_equal(device.listen(1), rate.real(frames[2:3]))
    assert device.listen(0).shape == (0, device.bundle.outputs)

    async def heard():
        answers = device.listening(timeout=0.5)
        got = [await anext(answers) for _ in range(3)]
        with pytest.raises(TransportError, match=r"0 of 1 have come, 0.5 s"):
            await anext(answers)
        return np.array(got)

    assert np.array_equal(asyncio.run(heard()), rate.real(frames[3:]))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"steps": -1}, "steps must be a whole number in 0..1073741824, not -1"),
        ({"steps": 1.5}, "steps must be a whole number in .*, not 1.5"),
        ({"steps": 1, "timeout": -1}, "timeout must be seconds, 0 or more, not -1"),
        ({"steps": 1, "timeout": float("nan")}, "timeout must be finite"),
    ],
)
def test_what_cannot_be_listened_to(device, given, rule):
    device[0].board.sense()
    with pytest.raises(ValueError, match=rule):
        device[0].listen(**given)


@pytest.mark.parametrize("missing", ["SENSOR_CTRL", "BOARD_ID"])
def test_a_board_without_a_sensor_is_asked_once(device, missing):
    device, _, _ = device
    device.transport.missing = (board.ADDRESS[missing],)
    for call in 2 * calls(device):
        call()
    assert device.transport.asked.count(board.ADDRESS[missing]) == 1
