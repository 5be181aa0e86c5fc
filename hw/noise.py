"""Draws for stochastic rounding: functions of state, row and column alone."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.learning.noise import COLUMN, ROW, WIDTH, WORD
from vle.hw.primitives.product import registered

STATE_WIDTH = WORD.bit_length()


def advance(m: Module, state: Value, name: str = "noise") -> Value:
    """Return the generator's next word (xorshift), wires and gates only."""
    word = Value.cast(state)
    for step, shift in enumerate((13, -17, 5)):
        shifted = word.shift_left(shift) if shift > 0 else word.shift_right(-shift)
        after = Signal(STATE_WIDTH, name=f"{name}_mix{step}")
        m.d.comb += after.eq(word ^ shifted[:STATE_WIDTH])
        word = after
    return word


def rotated(state: Value, places: int) -> Value:
    """Rotate a 32-bit word to the left, wires only."""
    return Value.cast(state).rotate_left(places)


def draw(m: Module, base: Value, offset: Value | int, name: str = "draw", domain="comb") -> Value:
    """Draw number `offset / factor` of those that begin at `base`: an adder and some gates.

    In the domain `sync` they are a clock apart.
    """
    z = Signal(STATE_WIDTH, name=f"{name}_z", reset_less=True)
    m.d[domain] += z.eq(base + offset)
    return (z ^ z.shift_right(9) ^ z.shift_right(16))[:WIDTH]


class Draws(wiring.Component):
    """Draws of the rows and columns at work, 3 clocks after their tile.

    Two words count up, one for each group of rows and one for each tile; each row and column then
    has an adder of its own. A weight's draw is the sum of both, modulo `2**16`.

    Parameters
    ----------
    pe, simd
        Rows and columns.

    Members
    -------
    valid, first, first_group
        A tile; whether it begins a group of rows, and whether that is the pass's first group.
    noise
        State of the layer at work; it stands during a pass.
    rows, columns
        Draws, `WIDTH` bits each, the first in the lowest bits.
    """

    def __init__(self, pe: int, simd: int):
        self.pe, self.simd = pe, simd
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "first_group": In(1),
                "noise": In(STATE_WIDTH),
                "rows": Out(pe * WIDTH),
                "columns": Out(simd * WIDTH),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        row = Signal(STATE_WIDTH, reset_less=True)
        column = Signal.like(row)
        with m.If(self.valid):
            turned = rotated(self.noise, 16)
            m.d.sync += column.eq(Mux(self.first, turned, column + self._step(self.simd, COLUMN)))
            with m.If(self.first):
                above = row + self._step(self.pe, ROW)
                m.d.sync += row.eq(Mux(self.first_group, self.noise, above))
        for words, base, count, factor, name in (
            (self.rows, row, self.pe, ROW, "row"),
            (self.columns, column, self.simd, COLUMN, "column"),
        ):
            steps = (self._step(k + 1, factor) for k in range(count))
            draws = [draw(m, base, step, f"{name}{k}", "sync") for k, step in enumerate(steps)]
            m.d.comb += words.eq(registered(m, Cat(draws), 1))
        return m

    @staticmethod
    def _step(count: int, factor: int) -> int:
        return count * factor & WORD
