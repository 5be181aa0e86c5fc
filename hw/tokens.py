"""Counts of what is there, each with a flag that tells whether there is any."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def tokens(m: Module, up: Value, down: Value, limit: int, init: int = 0) -> tuple[Signal, Signal]:
    """Count `up - down`; return the count and whether it is above 0, both registers.

    Parameters
    ----------
    up, down
        One more, one less; never less than none.
    limit
        Highest count.
    init
        Count after a reset.
    """
    count, some = Signal(range(limit + 1), init=init), Signal(init=int(init > 0))
    m.d.sync += count.eq(count + up - down)
    m.d.sync += some.eq(up | (some & ~down) | (down & (count > 1)))  # one table, however late
    return count, some
