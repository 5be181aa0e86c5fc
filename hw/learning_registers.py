"""What a layer that learns carries in registers: its exponents, and the state of its draws."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.learning.noise import WORD
from vle.compiler.learning.spec import LearningSpec
from vle.hw.rescale import EXPONENT_WIDTH, QUIET_WIDTH

STATE_WIDTH = WORD.bit_length()


def advanced(state: Value) -> Value:
    """Return the generator's next word, as `compiler.learning.noise.advance` does."""
    state = state ^ Cat(C(0, 13), state)[:STATE_WIDTH]
    state = state ^ state[17:]
    return (state ^ Cat(C(0, 5), state))[:STATE_WIDTH]


class LearningRegisters(wiring.Component):
    """Exponents and draws of one layer; no reset touches them.

    The draws' state is that of the error pass that began last; the next one's is a step further.
    What a pass leaves when it begins stands 2 clocks later; it is not looked at sooner.

    Parameters
    ----------
    learning
        First exponent, and seed.

    Members
    -------
    begin
        An error pass begins: it takes `exponent`, `quiet`, and `next_noise`.
    scale_write, scale_exponent, scale_quiet
        What it leaves to the next.
    exponent, quiet
        Of the coming error pass, or of the one under way.
    before
        Exponent of the error pass that began last.
    noise, next_noise
        State of the draws in that pass; in the coming one.
    exponent_write, noise_write, data
        From the bus: `exponent | quiet << 8 | before << 16`, `next_noise`.
    """

    def __init__(self, learning: LearningSpec):
        self.learning = learning
        exponent = signed(EXPONENT_WIDTH)
        super().__init__(
            {
                "begin": In(1),
                "scale_write": In(1),
                "scale_exponent": In(exponent),
                "scale_quiet": In(QUIET_WIDTH),
                "exponent": Out(exponent),
                "quiet": Out(QUIET_WIDTH),
                "before": Out(exponent),
                "noise": Out(STATE_WIDTH),
                "next_noise": Out(STATE_WIDTH),
                "exponent_write": In(1),
                "noise_write": In(1),
                "data": In(32),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        began = Signal(reset_less=True)
        m.d.sync += began.eq(self.begin)
        self._exponents(m, began)
        self._noise(m, began)
        return m

    def _exponents(self, m: Module, began: Value) -> None:
        kept = {"init": self.learning.exponent, "reset_less": True}
        exponent = Signal(signed(EXPONENT_WIDTH), **kept)
        before = Signal(signed(EXPONENT_WIDTH), **kept)
        quiet = Signal(QUIET_WIDTH, reset_less=True)
        m.d.comb += [self.exponent.eq(exponent), self.quiet.eq(quiet), self.before.eq(before)]
        with m.If(began):
            m.d.sync += before.eq(exponent)
        with m.If(self.scale_write):
            m.d.sync += [exponent.eq(self.scale_exponent), quiet.eq(self.scale_quiet)]
        with m.If(self.exponent_write):
            low, middle, high = (self.data.word_select(k, EXPONENT_WIDTH) for k in range(3))
            m.d.sync += [exponent.eq(low), quiet.eq(middle), before.eq(high)]

    def _noise(self, m: Module, began: Value) -> None:
        state = Signal(STATE_WIDTH, init=self.learning.seed, reset_less=True)
        following = Signal(STATE_WIDTH, init=self.learning.seed, reset_less=True)
        unused = Signal(init=1, reset_less=True)  # since it was seeded or written
        m.d.comb += [self.noise.eq(state), self.next_noise.eq(following)]
        m.d.sync += following.eq(Mux(unused, state, advanced(state)))
        with m.If(began):
            m.d.sync += [state.eq(following), unused.eq(0)]
        with m.If(self.noise_write):
            m.d.sync += [state.eq(self.data), unused.eq(1)]
