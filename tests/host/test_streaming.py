"""Signals that come bit by bit: the answers of one piece, and a device that stays usable."""

from __future__ import annotations

import asyncio
import gc
import re

import learning_devices as devices
import numpy as np
import pytest

from vle.errors import TransportError


def opened(name: str, tmp_path):
    device, design = devices.opened(name, tmp_path)
    return device, design, devices.lesson(name, 50)[0]


async def later(x, pauses: int = 0, taken: list | None = None):
    for k, frame in enumerate(x):
        if taken is not None:
            taken.append(k)
        if pauses and k % pauses == 0:
            await asyncio.sleep(0.001)
        yield frame


async def gathered(stream) -> np.ndarray:
    return np.array([y async for y in stream])


@pytest.mark.parametrize("name", ["recurrent", "aligned"])
@pytest.mark.parametrize("ahead", [1, 7, 64])
@pytest.mark.parametrize("kind", ["at once", "later", "in bursts"])
def test_the_answers_are_those_of_a_run(tmp_path, name, ahead, kind):
    device, design, x = opened(name, tmp_path)
    given = x if kind == "at once" else later(x, {"later": 1, "in bursts": 9}[kind])
    got = asyncio.run(gathered(device.stream(given, ahead=ahead)))
    assert np.array_equal(got, design.run(x))
    assert np.array_equal(device.run(x), design.run(x))
    other = asyncio.run(gathered(device.stream(x, aligned=not device.bundle.aligned)))
    assert np.array_equal(other, design.run(x, aligned=not device.bundle.aligned))


def test_streams_continue_and_may_be_empty(tmp_path):
    device, design, x = opened("recurrent", tmp_path)
    parts = [
        asyncio.run(gathered(device.stream(part, reset=not k)))
        for k, part in enumerate((x[:20], x[20:20], x[20:]))
    ]
    assert parts[1].size == 0
    assert np.array_equal(np.concatenate([parts[0], parts[2]]), design.run(x))


def test_values_beyond_the_format_are_counted(tmp_path):
    device, design, x = opened("recurrent", tmp_path)
    x[7] = 1e3
    asyncio.run(gathered(device.stream(later(x))))
    design.run(x)
    assert device.input_saturation == design.input_saturation == 2


def test_nothing_is_taken_that_is_not_asked_for(tmp_path):
    """Back-pressure: `ahead` frames, and of a signal that comes later one that is awaited."""
    device, _, x = opened("recurrent", tmp_path)
    taken = []

    async def slow_reader():
        async for _ in device.stream(later(x, taken=taken), ahead=4):
            seen.append(len(taken))
            await asyncio.sleep(0)

    seen = []
    asyncio.run(slow_reader())
    assert len(seen) == 50
    assert all(count <= k + 1 + 4 + 1 for k, count in enumerate(seen))


def test_a_frame_that_has_come_does_not_wait(tmp_path):
    """Its answer comes while the next frame is still being measured."""
    device, design, x = opened("recurrent", tmp_path)

    async def conversation():
        frames = asyncio.Queue()

        async def measured():
            while (frame := await frames.get()) is not None:
                yield frame

        answers, got = device.stream(measured()), []
        for frame in x:
            frames.put_nowait(frame)
            got.append(await asyncio.wait_for(anext(answers), 20))
        frames.put_nowait(None)
        assert [y async for y in answers] == []
        return np.array(got)

    assert np.array_equal(asyncio.run(conversation()), design.run(x))


@pytest.mark.parametrize("kind", ["waiting", "working", "left"])
def test_whoever_is_cancelled_leaves_a_device_that_works(tmp_path, kind, monkeypatch):
    device, design, x = opened("recurrent", tmp_path)
    calls, learn = [], device.transport.learn

    def slow(*arguments):
        calls.append("in")
        got = learn(*arguments)
        calls.append("out")
        return got

    monkeypatch.setattr(device.transport, "learn", slow)

    async def cancelled():
        async def forever():
            for frame in x[:5]:
                yield frame
            await asyncio.sleep(1000)

        async def listen():
            async for _ in device.stream(x if kind != "waiting" else forever(), ahead=5):
                if kind == "left":
                    break

        task = asyncio.create_task(listen())
        while not calls or (kind != "working" and len(calls) < 2):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        assert task.done()
        assert calls.count("in") == calls.count("out")
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(cancelled()) == set()
    gc.collect()
    assert np.array_equal(device.run(x), design.run(x))


def test_what_goes_wrong_is_said(tmp_path, monkeypatch):
    device, _, x = opened("recurrent", tmp_path)
    for given, error, rule in (
        (5, TypeError, "x must be an iterable of frames, not 5"),
        ([[1, 2, 3]], ValueError, r"each of x must be of shape \(2,\), not \(3,\)"),
        ([[1, np.nan]], ValueError, "x must be finite"),
        (later([[1, np.inf]]), ValueError, "x must be finite"),
    ):
        with pytest.raises(error, match=rule):
            asyncio.run(gathered(device.stream(given)))
    for ahead in (0, 1.5, "4", [1, 2]):
        rule = rf"ahead must be a whole number in 1..1048576, not {re.escape(repr(ahead))}"
        with pytest.raises(ValueError, match=rule):
            asyncio.run(gathered(device.stream(x, ahead=ahead)))

    async def broken():
        yield x[0]
        raise RuntimeError("the sensor is gone")

    with pytest.raises(RuntimeError, match="the sensor is gone"):
        asyncio.run(gathered(device.stream(broken())))

    def gone(*_):
        raise TransportError("the port is gone")

    monkeypatch.setattr(device.transport, "learn", gone)
    with pytest.raises(TransportError, match="the port is gone"):
        asyncio.run(gathered(device.stream(later(x))))
