"""Counts of what is there, each with a flag that tells whether there is any."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def tokens(m: Module, up: Value, down: Value, limit: int, init: int = 0) -> tuple[Signal, Signal]:
    """Return the count of `tokens_ahead` and whether it is above 0, both registers."""
    return tokens_ahead(m, up, down, limit, init)[:2]


def tokens_ahead(
    m: Module, up: Value, down: Value, limit: int, init: int = 0
) -> tuple[Signal, Signal, Value]:
    """Count `up - down`; return the count, whether it is above 0, and whether it will be next.

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
    coming = up | (some & ~down) | (down & (count > 1))  # one table, however late
    m.d.sync += [count.eq(count + up - down), some.eq(coming)]
    return count, some, coming
