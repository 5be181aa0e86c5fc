"""Every memory and flag over the bus: in how many clocks, and to the last word."""

from __future__ import annotations

import learners
import numpy as np
import pytest
import random_chips
from core_bench import CoreBench

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.hw.decoder import READ_CLOCKS

WRITTEN = 5  # clocks


def inferring() -> ChipSpec:
    """Two engines, layers with and without recurrence."""
    network = random_chips.network(np.random.default_rng(1), [3, 5, 2], recurrent=(0,))
    return ChipSpec(network, Folding((EngineSpec(2, 3, (0,)), EngineSpec(1, 2, (1,)))))


def learning() -> ChipSpec:
    """Two layers on one engine."""
    return learners.chip_of(learners.learners(1, [3, 3, 2], [{}]), pe=1, simd=2)


async def timed(bench: CoreBench, ctx, *access: int) -> tuple[int, int]:
    """Return the word, and the clocks that the access took."""
    begin = bench.cycle
    word, error = await bench.access(ctx, *access)
    assert not error, access
    return word, bench.cycle - begin


@pytest.mark.parametrize("chip", [inferring, learning])
def test_every_word_stays_as_written(chip):
    """In `WRITTEN` clocks, and is read in `READ_CLOCKS` + 4; no other word changes."""
    bench = CoreBench(chip())
    rng = np.random.default_rng(2)
    words = {
        address: int(rng.integers(2))  # fits any word
        for window in bench.map.windows
        for address in bench.addresses(window)
    }

    async def scenario(ctx):
        await bench.halt(ctx)
        for address, word in words.items():
            assert (await timed(bench, ctx, address, word))[1] == WRITTEN
        for address, word in words.items():
            assert await timed(bench, ctx, address) == (word, READ_CLOCKS + 4), address

    bench.run(scenario)
