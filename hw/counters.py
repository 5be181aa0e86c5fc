"""What the host may want to count."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
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
        Whether `word` is the lower, the upper half of the selected count. The upper one belongs to
        the lower one that came in the clock before.
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
    that is asked for is told, with all events of clocks before, within two rounds of `2 * counts`
    clocks.

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
        here, after, clearing = self._walk(m)
        place, upper = here[1:], here[0]
        m.submodules.memory = memory = RegisteredMemory(HALF_COUNT, 2 * self.count, latency=1)
        gathered, carry = self._gather(m), Signal()
        word = Signal(HALF_COUNT + 1)
        m.d.comb += [
            word.eq(Mux(clearing, 0, memory.r_data) + Mux(upper, carry, gathered)),
            memory.r_addr.eq(after),
            memory.w_addr.eq(here),
            memory.w_data.eq(word),
            memory.w_en.eq(1),
        ]
        m.d.sync += carry.eq(word[HALF_COUNT] & ~self.clear)
        self._tell(m, place, upper, word)
        return m

    def _walk(self, m: Module) -> tuple[Value, Value, Value]:
        """Half word at work, the one after it, and whether some are still to be cleared."""
        halves = 2 * self.count
        here, after = Signal(range(halves)), Signal(range(halves), init=1)
        left, clearing = Signal(range(halves), init=halves - 1), Signal(init=1)
        m.d.sync += [here.eq(after), after.eq(Mux(after == halves - 1, 0, after + 1))]
        with m.If(self.clear):
            m.d.sync += [left.eq(halves - 1), clearing.eq(1)]
        with m.Elif(clearing):
            m.d.sync += [left.eq(left - 1), clearing.eq(left != 0)]
        return here, after, clearing

    def _gather(self, m: Module) -> Value:
        """Events of the count at work since its last turn, taken in the clock before it."""
        found, turn = [], Signal()  # as long as the lower half comes
        coming = Signal(self.count, init=1)  # the count, a bit each
        m.d.sync += turn.eq(~turn)
        with m.If(~turn):
            m.d.sync += coming.eq(coming.rotate_left(1))
        for k, event in enumerate(self._events()):
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

    def _events(self) -> list[Value]:
        """How often each count counts in this clock, in the order of `counter_names`."""
        saturated = [bit for events in self.saturated for bit in events]
        events = [self.step, self.error, *saturated]
        if self.learns:
            events += [self.target_error, *(n for kinds in self.clamping for n in kinds)]
        return [Value.cast(event) for event in events]

    def _tell(self, m: Module, place: Value, upper: Value, word: Value) -> None:
        """Show the selected count as it comes by."""
        asked = place == self.read.select
        m.d.comb += [
            self.read.low.eq(asked & ~upper),
            self.read.high.eq(asked & upper),
            self.read.word.eq(word),
        ]


def clamped_at_once(engine: Engine) -> int:
    """Words of one kind that may be clamped in a clock: weights of all lanes, signals of a row."""
    return max(engine.lanes, 3, engine.trace_groups)
