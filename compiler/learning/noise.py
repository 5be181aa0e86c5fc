"""Draws for stochastic rounding that depend on seed, step, row and column alone."""

from __future__ import annotations

import numpy as np

from vle.compiler.fixed import Raw

WIDTH = 16  # bits of a draw
WORD = (1 << 32) - 1
ROW, COLUMN, SIGNAL = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35


def advance(state: int) -> int:
    """Return the generator's next 32-bit word, which is never 0 (xorshift).

    References
    ----------
    G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003.
    """
    state ^= state << 13 & WORD
    state ^= state >> 17
    return state ^ (state << 5 & WORD)


def rotated(state: int, places: int) -> int:
    """Rotate a 32-bit word to the left."""
    return (state << places | state >> (32 - places)) & WORD


def row_draws(state: int, count: int) -> Raw:
    """One draw per row, `mix(state + (i + 1) * ROW)`, shape `(count,)`."""
    return _draws(state, np.arange(1, count + 1), ROW)


def column_draws(state: int, count: int) -> Raw:
    """One draw per column, `mix(rot16(state) + (j + 1) * COLUMN)`; for biases `j = -1`."""
    return _draws(rotated(state, 16), np.arange(1, count + 1), COLUMN)


def bias_draw(state: int) -> int:
    """Return the draw of the column of biases."""
    return int(_draws(rotated(state, 16), np.zeros(1, np.int64), COLUMN)[0])


def signal_draws(state: int, count: int) -> Raw:
    """One draw per row for what is rounded before the update, shape `(count,)`."""
    return _draws(rotated(state, 8), np.arange(1, count + 1), SIGNAL)


def _draws(state: int, index: Raw, factor: int) -> Raw:
    z = (state + index * factor) & WORD
    return (z ^ z >> 9 ^ z >> 16) & ((1 << WIDTH) - 1)


def stochastic_shift(raw: Raw, shift: Raw | int, draw: Raw) -> Raw:
    """`raw / 2**shift`, up with a probability that is the fraction dropped, by `draw` of 16 bits.

    `(raw + offset) >> shift` with `offset = (2 * draw + 1) * 2**(shift - 17)`, the bits of it
    below the point dropped: integers, 0 among them, never change.
    """
    odd = 2 * draw + 1
    offset = np.where(
        np.asarray(shift) > WIDTH,
        odd << np.maximum(np.asarray(shift) - WIDTH - 1, 0),
        odd >> np.maximum(WIDTH + 1 - np.asarray(shift), 0),
    )
    shifted: Raw = (raw + offset) >> shift
    return shifted
