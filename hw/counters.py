"""What the host may want to count."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import COUNTERS, HALF_COUNT, counter_names
from vle.compiler.learning.step import Clamped
from vle.hw.numeric import either
from vle.hw.primitives import RegisteredMemory


class CountSignature(wiring.Signature):
    """One of several counts, read a half at a time, seen from the reader.

    Parameters
    ----------
    counts
        How many there are.

    Members
    -------
    select
        Which one, by its place in `counter_names`; it stands until both halves have come.
    low, high
        Whether `word` is the lower, the upper half of the count selected a clock ago. The upper one
        belongs to the lower one that came in the clock before. Events are counted in what comes 2
        clocks after them.
    word
        The half.
    """

    def __init__(self, counts: int):
        super().__init__(
            {
                "select": Out(range(max(2, counts))),
                "low": In(1),
                "high": In(1),
                "word": In(HALF_COUNT),
            }
        )


class Counters(wiring.Component):
    """Steps, dropped frames, and words clamped per layer; each 32 bits, around at the end.

    Events gather in a few bits for each count. In every clock the next half of the next count comes
    out of a memory, takes what has gathered (the upper half, the carry) and goes back. So a count
    comes by every `2 * counts` clocks.

    Parameters
    ----------
    chip
        Number of layers.

    Members
    -------
    clear
        Zeroes all.
    step, error
        One more step, one more dropped frame.
    saturated
        Per layer, a bit for each of current, prosp, rate.
    clamping, target_error
        Where it learns: words clamped in this clock, per layer and kind; a target was dropped.
    read
        The counts.
    """

    def __init__(self, chip: ChipSpec):
        layers = len(chip.network.layers)
        self.learns, kinds = chip.learning is not None, len(Clamped._fields)
        self.count = len(counter_names(layers, learns=self.learns))
        most = max(map(clamped_at_once, chip.engines))
        learning = {
            "clamping": In(range(most + 1)).array(layers, kinds),
            "target_error": In(1),
        }
        super().__init__(
            {
                **(learning if self.learns else {}),
                "clear": In(1),
                "step": In(1),
                "error": In(1),
                "saturated": In(len(COUNTERS)).array(layers),
                "read": In(CountSignature(self.count)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        asked, here, done, clearing = self._walk(m)
        m.submodules.memory = memory = RegisteredMemory(HALF_COUNT, 2 * self.count)
        gathered, total = self._gather(m), Signal(HALF_COUNT + 1)
        carry = total[HALF_COUNT]
        m.d.sync += total.eq(Mux(clearing, 0, memory.r_data) + Mux(here[0], carry, gathered))
        with m.If(self.clear):
            m.d.sync += total.eq(0)
        m.d.comb += [
            memory.r_addr.eq(asked),
            memory.w_addr.eq(done),
            memory.w_data.eq(total),
            memory.w_en.eq(1),
        ]
        self._tell(m, here, total)
        return m

    def _walk(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """Half words asked for, at work and done; whether some are still to be cleared."""
        halves = 2 * self.count
        asked, coming, here, done = (
            Signal(range(halves), init=init, name=name)
            for name, init in (("asked", 2), ("coming", 1), ("here", 0), ("done", 0))
        )
        left, clearing = Signal(range(halves), init=halves - 1), Signal(init=1)
        m.d.sync += [
            asked.eq(Mux(asked == halves - 1, 0, asked + 1)),
            *(after.eq(before) for before, after in pairwise((asked, coming, here, done))),
        ]
        with m.If(self.clear):
            m.d.sync += [left.eq(halves - 1), clearing.eq(1)]
        with m.Elif(clearing):
            m.d.sync += [left.eq(left - 1), clearing.eq(left != 0)]
        return asked, here, done, clearing

    def _gather(self, m: Module) -> Value:
        """Events of the count at work since its last turn, taken in the clock before it."""
        found, turn = [], Signal()  # as long as the lower half comes
        coming = Signal(self.count, init=1)  # the count, a bit each
        m.d.sync += turn.eq(~turn)
        with m.If(~turn):
            m.d.sync += coming.eq(coming.rotate_left(1))
        for k, event in enumerate(self._events(m)):
            most = 2 * self.count * ((1 << len(event)) - 1)
            assert most < 1 << HALF_COUNT
            since = Signal(range(most + 1), name=f"since{k}")
            m.d.sync += since.eq(Mux(coming[k] & turn, 0, since) + event)
            with m.If(self.clear):
                m.d.sync += since.eq(0)
            found.append(Mux(coming[k], since, 0))
        gathered = Signal(HALF_COUNT)
        m.d.sync += gathered.eq(Mux(self.clear, 0, either(found)))
        return gathered

    def _events(self, m: Module) -> list[Value]:
        """How often each count counts, in the order of `counter_names`; of frames a clock late."""
        frames = [self.step, self.error, *([self.target_error] if self.learns else [])]
        late = Signal(len(frames), name="frames")
        m.d.sync += late.eq(Mux(self.clear, 0, Cat(frames)))
        events = [late[0], late[1], *(bit for events in self.saturated for bit in events)]
        if self.learns:
            events += [late[2], *(n for kinds in self.clamping for n in kinds)]
        return [Value.cast(event) for event in events]

    def _tell(self, m: Module, here: Value, total: Value) -> None:
        """Show the selected count as it comes by."""
        asked = here[1:] == self.read.select
        m.d.sync += [self.read.low.eq(asked & ~here[0]), self.read.high.eq(asked & here[0])]
        m.d.comb += self.read.word.eq(total)


def clamped_at_once(engine: Engine) -> int:
    """Words of one kind that may be clamped in a clock: weights of all lanes, signals of a row."""
    return max(engine.lanes, 3, engine.trace_groups)
