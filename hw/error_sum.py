"""What a neuron's error is made of, brought to one exponent and added."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.errors import GUARD, LEFT, RIGHT, SUM_WIDTH
from vle.hw.align import limited, round_each, shift_coarse, shift_fine
from vle.hw.numeric import Delay, saturate_each

PART_WIDTH = 10  # of the exponent of a part of an error, signed
SHIFT_WIDTH = PART_WIDTH + 3  # of the difference of two, and a guard


class ErrorSum(wiring.Component):
    """`align` and `combine` of the specification: 2 clocks, and 1 more where errors recur.

    Parameters
    ----------
    engine
        Layers and formats.

    Members
    -------
    above_right, loop_right, v_right
        How far each word, with `below_of` bits more, is to be shifted to the right: stage -1.
    place, above, loop, v, no_above, no_loop, no_v
        Layer by its place in the order of work; words, and which of them are 0: stage 0.
    low
        `v` in the units of this step: stage 2.
    s, over
        Sum with `GUARD` bits more, and whether any of it was clamped: stage 2, or 3 with a loop.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.loops = any(piece.loops for piece in engine.passes)
        self.widths = [learning.error_width + GUARD for learning in engine.learning]
        self.low_widths = [learning.v_width for learning in engine.learning]
        members = {
            "place": In(range(max(2, len(engine.passes)))),
            "above": In(signed(SUM_WIDTH + 1)),
            "above_right": In(signed(SHIFT_WIDTH)),
            "v": In(signed(engine.v_width)),
            "v_right": In(signed(SHIFT_WIDTH)),
            **dict.fromkeys(("no_above", "no_v"), In(1)),
            "low": Out(signed(engine.v_width)),
            "s": Out(signed(max(self.widths))),
            "over": Out(1),
        }
        if self.loops:
            members |= {"loop": In(signed(SUM_WIDTH)), "loop_right": In(signed(SHIFT_WIDTH))}
            members["no_loop"] = In(1)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        place = Delay(m, self.place, "place")
        v, _ = self._align(m, place, "v")
        above, above_over = self._align(m, place, "above")
        m.d.comb += self.low.eq(v)
        if not self.loops:
            m.d.comb += [self.s.eq(above), self.over.eq(above_over)]
            return m
        loop, loop_over = self._align(m, place, "loop")
        total, s_over = saturate_each(place[2], above + loop, self.widths), Signal()
        parts_over = Signal()
        m.d.sync += [Cat(self.s, s_over).eq(total), parts_over.eq(above_over | loop_over)]
        m.d.comb += self.over.eq(s_over | parts_over)
        return m

    def _widths(self, name: str) -> list[int]:
        return self.low_widths if name == "v" else self.widths

    def below_of(self, name: str) -> int:
        """Bits that a word has more before it is shifted to the right."""
        return min(LEFT, max(self._widths(name)))

    def _align(self, m: Module, place: Delay, name: str) -> tuple[Value, Value]:
        """Shift, round half up and clamp; with whether it was clamped."""
        widths, below = self._widths(name), self.below_of(name)
        width, most = max(widths), below + RIGHT
        amount = Signal(range(most + 1), name=f"{name}_right", reset_less=True)
        right, nothing = getattr(self, f"{name}_right"), getattr(self, f"no_{name}")
        m.d.sync += amount.eq(limited(right, most))
        word, half = getattr(self, name), 1
        limits = {"most": most, "keep": width + half}
        coarse, beyond = shift_coarse(m, word, below + half, amount, **limits, nothing=nothing)
        exact = shift_fine(coarse, Delay(m, amount, f"{name}_right")[1])
        return round_each(m, place, 1, exact, C(1, half), widths, beyond)
