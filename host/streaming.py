"""A signal that comes bit by bit through a device, without blocking an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.host import running
from vle.host.checks import finite
from vle.host.chip import Chip, Raw

Frames = Iterable[ArrayLike] | AsyncIterable[ArrayLike]
END = object()


async def stream(
    chip: Chip,
    x: Frames,
    check: Callable[[], None],
    count: Callable[[int], None],
    *,
    aligned: bool,
    reset: bool,
    ahead: int,
) -> AsyncGenerator[NDArray[np.float64], None]:
    """Yield the answer to each frame, see `vle.host.device.Device.stream`.

    Parameters
    ----------
    chip
        The chip.
    x
        Frames `(inputs,)` in real units.
    check
        Called before all else; raises where the chip takes no frames of the host.
    count
        Told how many values of each batch were clamped.
    aligned, reset, ahead
        As of the device.
    """
    source = _Source(x)
    bundle, late = chip.bundle, chip.bundle.latency_steps * aligned
    skip, begins, ends = late, aligned, False
    await finished(check)
    if reset:
        await finished(running.reset, chip)
    try:
        while not ends:
            frames = await source.take(ahead)
            ends = not frames
            raw, clamped = _words(chip, frames) if frames else (_nothing(chip, late), 0)
            got = await finished(running.exchange, chip, raw, begins)
            count(clamped)
            begins = begins and not len(raw)
            for y in bundle.layers[-1].rate.real(got[skip:]):
                yield y
            skip = max(0, skip - len(got))
    finally:
        await source.close()


def _words(chip: Chip, frames: list[ArrayLike]) -> tuple[Raw, int]:
    """Return the words of some frames, and how many were clamped."""
    inputs = chip.bundle.inputs
    for frame in frames:
        if np.shape(frame) != (inputs,):
            raise ValueError(f"each of x must be of shape ({inputs},), not {np.shape(frame)}")
    return chip.bundle.layers[0].x.quantize(finite("x", np.stack(frames)))


def _nothing(chip: Chip, steps: int) -> Raw:
    return np.zeros((steps, chip.bundle.inputs), np.int64)


async def finished(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread, and wait for its end whatever happens: two calls would collide."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):  # whoever cancels does not wait for what it says
            await task
        raise


class _Source:
    """Frames of an iterable of either kind, as many as are there.

    Parameters
    ----------
    x
        The iterable.
    """

    def __init__(self, x: Frames) -> None:
        self._next: asyncio.Future[Any] | None = None
        self._later: AsyncIterator[ArrayLike] | None = None
        if isinstance(x, AsyncIterable):
            self._later = aiter(x)
        elif isinstance(x, Iterable):
            self._now = iter(x)
        else:
            raise TypeError(f"x must be an iterable of frames, not {x!r:.60}")

    async def take(self, most: int) -> list[ArrayLike]:
        """Return the next frames: at least one, unless it was the last, and what else is there."""
        if self._later is None:
            return list(islice(self._now, most))
        found: list[ArrayLike] = []
        while len(found) < most:
            if self._next is None:
                self._next = asyncio.ensure_future(self._following(self._later))
            await asyncio.wait({self._next}, timeout=0 if found else None)
            if not self._next.done() or self._next.result() is END:
                break
            found.append(self._next.result())
            self._next = None
        return found

    @staticmethod
    async def _following(later: AsyncIterator[ArrayLike]) -> Any:
        return await anext(later, END)

    async def close(self) -> None:
        """Leave the iterable; a frame that it was asked for is not awaited."""
        if self._next is not None and not self._next.done():
            self._next.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._next
