"""Answers to the frames of a sensor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vle.host.checks import integer, seconds
from vle.host.chip import Chip, Raw
from vle.host.source import Source
from vle.host.transport import Listener

MOST = 1 << 30  # steps of a call


def listen(chip: Chip, source: Source, steps: int, timeout: float | None) -> Raw:
    """Return the next answers, see `vle.host.device.Device.listen`."""
    count = integer("steps", steps, (0, MOST))
    until = None if timeout is None else seconds("timeout", timeout)
    source.must_be_sensor()
    line = cast(Listener, chip.transport)  # of a board, as it has a sensor
    return line.listen(count, chip.bundle.outputs, until).astype(np.int64)


async def listening(
    chip: Chip, source: Source, timeout: float | None
) -> AsyncGenerator[NDArray[np.float64], None]:
    """Yield one answer after the other, see `vle.host.device.Device.listening`."""
    from vle.host.streaming import finished  # noqa: PLC0415 - imports asyncio

    while True:
        raw = await finished(listen, chip, source, 1, timeout)
        yield chip.bundle.layers[-1].rate.real(raw)[0]
