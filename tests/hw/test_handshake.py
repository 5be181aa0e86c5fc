"""The benches themselves: what breaks the protocol, or never ends, is found."""

from __future__ import annotations

import pytest
from bounded import simulate
from handshake import Held

from vle.hw.axi_lite import Bridge


def test_held_words_pass():
    watch = Held("o")
    for valid, ready, word in ((0, 1, 5), (1, 0, 7), (1, 0, 7), (1, 1, 7), (1, 1, 8), (0, 0, 9)):
        watch.see(valid, ready, word)
    watch.see(1, 0, 3)
    watch.clear()
    watch.see(0, 0, 3)


@pytest.mark.parametrize(("after", "said"), [((0, 0, 7), "valid fell"), ((1, 1, 8), "from")])
def test_words_that_go_or_change_are_found(after, said):
    watch = Held("o")
    watch.see(1, 0, 7)
    with pytest.raises(AssertionError, match=said):
        watch.see(*after)


def test_what_never_ends_is_stopped():
    dut = Bridge(8)

    async def scenario(ctx):
        while not ctx.get(dut.axi.rvalid):
            await ctx.tick()

    with pytest.raises(AssertionError, match="watchdog"):
        simulate(dut, scenario, cycles=50)
