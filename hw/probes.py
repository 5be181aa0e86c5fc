"""Chosen words of a run as a stream of their own, without changing the run."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import lane_bits, register_map

DEPTH = 16  # words that wait for the reader
LAYER, NEURON, KIND = slice(20, 28), slice(0, 20), slice(28, 32)  # of a selector
ADDRESS = slice(0, 28)  # of the selector of a weight


class Kind(enum.Enum, shape=4):
    """What a probe shows."""

    OFF = 0
    U = 1
    R = 2
    V = 3
    E = 4
    EXPONENT = 5
    WEIGHT = 6


NEURON_TAP = wiring.Signature(
    {
        "valid": Out(1),
        "layer": Out(8),
        "neuron": Out(20),
        "u": Out(signed(32)),
        "r": Out(signed(32)),
    }
)
ERROR_TAP = wiring.Signature(
    {
        "valid": Out(1),
        "layer": Out(8),
        "neuron": Out(20),
        "v": Out(signed(32)),
        "e": Out(signed(32)),
        "exponent": Out(signed(8)),
    }
)


def probed_layout():
    """Lay out a word, its probe, the exponent of `v` and `e`, and its number."""
    return data.StructLayout({"word": signed(32), "probe": 8, "exponent": signed(8), "step": 16})


def weight_tap(engine: Engine) -> wiring.Signature:
    """Word of all lanes as it is written back, and its address in the memory."""
    bits = max(1, (engine.fold - 1).bit_length())
    word = engine.lanes * engine.weight_width
    return wiring.Signature({"valid": Out(1), "address": Out(bits), "word": Out(word)})


class Probes(wiring.Component):
    """Each probe sends the word that its selector names, once per step, as it passes by.

    A word that finds the one before still waiting, or the queue full, is lost and counted: the run
    never waits. Every word carries how many its probe has seen since its selector was written, lost
    ones included, modulo `2**16`: the step that it belongs to.

    From a tap to the queue 3 clocks, where several probes hit at once one more for each of a lower
    number; the queue takes another.

    Parameters
    ----------
    chip
        Layers, engines and addresses.
    count
        Number of probes.

    Members
    -------
    select, select_write
        Per probe: `Kind` in bits 28 to 31; layer in 20 to 27 and neuron in 0 to 19, or the word
        address of a weight on the bus in 0 to 27. `select_write`: it has just changed.
    neuron, error, weight<k> : In
        Per engine: neurons with their new words, errors of this step, weights as written back.
    o : Out
        The words; `exponent` is that of `v` and `e`.
    clear, lost
        Words lost since `clear`.
    """

    def __init__(self, chip: ChipSpec, count: int) -> None:
        self.chip, self.count = chip, count
        engines = len(chip.engines)
        super().__init__(
            {
                "select": In(32).array(count),
                "select_write": In(1).array(count),
                "neuron": In(NEURON_TAP).array(engines),
                "error": In(ERROR_TAP).array(engines),
                **{f"weight{e.index}": In(weight_tap(e)) for e in chip.engines},
                "o": Out(stream.Signature(probed_layout())),
                "clear": In(1),
                "lost": Out(32),
            }
        )

    def elaborate(self, platform) -> Module:
        """Catch words, let each wait alone, queue them in the order of the probes."""
        m, layout = Module(), probed_layout()
        self._taps = [self._registered(m, engine.index) for engine in self.chip.engines]
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.size, depth=DEPTH)
        waiting, lost = Signal(self.count), Signal(self.count)
        first = waiting & -waiting
        words = []
        for k in range(self.count):
            hit, word, exponent = self._catch(m, k)
            waits, taken = waiting[k], first[k] & queue.w_rdy
            kept, step = Signal(layout, name=f"kept{k}"), Signal(16, name=f"step{k}")
            words.append(Mux(first[k], kept.as_value(), 0))
            m.d.comb += lost[k].eq(hit & waits & ~taken)
            m.d.sync += [waits.eq(hit | (waits & ~taken)), step.eq(step + hit)]
            with m.If(hit & ~lost[k]):
                m.d.sync += [kept.word.eq(word), kept.exponent.eq(exponent)]
                m.d.sync += [kept.step.eq(step), kept.probe.eq(k)]
            with m.If(self.select_write[k]):
                m.d.sync += [waits.eq(0), step.eq(0)]
        gone = Signal(range(self.count + 1))
        m.d.sync += gone.eq(sum(lost[k] for k in range(self.count)))
        m.d.sync += self.lost.eq(Mux(self.clear, 0, self.lost + gone))
        m.d.comb += [
            queue.w_data.eq(reduce(or_, words)),
            queue.w_en.eq(waiting.any()),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m

    def _registered(self, m: Module, index: int) -> tuple[Any, Any]:
        """Words of an engine's neurons and errors, a clock after their taps."""
        later = []
        for tap, name in ((self.neuron[index], "neuron"), (self.error[index], "error")):
            copy = tap.signature.create(path=(f"{name}{index}",))
            m.d.sync += [
                getattr(copy, word).eq(getattr(tap, word)) for word in tap.signature.members
            ]
            later.append(copy)
        return later[0], later[1]

    def _catch(self, m: Module, k: int) -> tuple[Signal, Signal, Signal]:
        """Whether the word of probe `k` passed 2 clocks ago, the word, its exponent.

        A word is found in the first clock, and chosen in the second: it comes from afar. Which tap
        it comes from does not change, so that the words need no comparison; it is known the clock
        after the selector was written, and by then nothing is caught.
        """
        hit, word = Signal(name=f"hit{k}"), Signal(signed(32), name=f"word{k}")
        exponent = Signal(signed(8), name=f"exponent{k}")
        hits, words, exponents = [], [], []
        for engine in self.chip.engines:
            error = self._taps[engine.index][1]
            found = (*self._words(k, engine), self._weight(m, k, engine))
            for place, (asked, here, value) in enumerate(found):
                used = self._used(m, asked, f"used{k}_{engine.index}_{place}")
                hits.append(used & here)
                words.append(Mux(used, Cat(value, value[-1].replicate(32 - len(value))), 0))
            mine = self._used(m, self._mine(k, engine), f"mine{k}_{engine.index}")
            exponents.append(Mux(mine, error.exponent.as_unsigned(), 0))
        m.d.sync += [
            hit.eq(reduce(or_, hits) & ~self.select_write[k]),
            word.eq(reduce(or_, words)),
            exponent.eq(reduce(or_, exponents)),
        ]
        return hit, word, exponent

    @staticmethod
    def _used(m: Module, asked: Value, name: str) -> Signal:
        used = Signal(name=name)
        m.d.sync += used.eq(asked)
        return used

    def _mine(self, k: int, engine: Engine) -> Value:
        """Whether the engine serves the layer of the selector."""
        layer = self.select[k][LAYER]
        return reduce(or_, [layer == piece.layer for piece in engine.passes])

    def _words(self, k: int, engine: Engine) -> list[tuple[Value, Value, Value]]:
        """Of each kind that a neuron has: whether it is asked for, whether it passes, its word."""
        select, found = self.select[k], []
        neuron, error = self._taps[engine.index]
        for kind, tap, value in (
            (Kind.U, neuron, neuron.u),
            (Kind.R, neuron, neuron.r),
            (Kind.V, error, error.v),
            (Kind.E, error, error.e),
            (Kind.EXPONENT, error, error.exponent),
        ):
            here = (tap.layer == select[LAYER]) & (tap.neuron == select[NEURON])
            used = (select[KIND] == kind) & self._mine(k, engine)
            found.append((used, tap.valid & here, value))
        return found

    def _weight(self, m: Module, k: int, engine: Engine) -> tuple[Value, Value, Value]:
        """As `_words`, of the weight at an address of the bus; its lane is chosen at the tap."""
        select, tap = self.select[k], getattr(self, f"weight{engine.index}")
        region = next(
            region
            for region in register_map(self.chip).regions
            if (region.kind, region.owner) == ("weight", engine.index)
        )
        address, width = select[ADDRESS], region.address_width
        bits = lane_bits(engine.lanes)
        used = (select[KIND] == Kind.WEIGHT) & (address[width:] == region.base >> width)
        lane = address[:bits] if bits else C(0, 1)
        value = Signal(engine.weight_width, name=f"weight{k}_{engine.index}")
        here = Signal(name=f"passes{k}_{engine.index}")
        m.d.sync += [
            value.eq(tap.word.word_select(lane, engine.weight_width)),
            here.eq(tap.valid & (tap.address == address[bits:width])),
        ]
        return used, here, value
