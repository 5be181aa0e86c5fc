"""Chosen words of a run as a stream of their own, without changing the run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import lane_bits, register_map
from vle.hw.numeric import selected_late
from vle.hw.primitives.product import registered

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


# Whether a tap is asked at all, whether its words pass; of each word whether it is that, and it.
Found = tuple[Value, Value, list[tuple[Value, Value]]]


class Probes(wiring.Component):
    """Each probe sends the word that its selector names, once per step, as it passes by.

    A word that finds the one before still waiting, or the queue full, is lost and counted: the run
    never waits. Every word carries how many its probe has seen since its selector was written, lost
    ones included, modulo `2**16`: the step that it belongs to.

    From a tap to the queue 4 clocks, of weights 3, where several probes hit at once one more for
    each of a lower number; the queue takes another.

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
        gone, missed = Signal(range(self.count + 1)), registered(m, lost, 1)
        m.d.sync += gone.eq(sum(missed[k] for k in range(self.count)))
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

    def _catch(self, m: Module, k: int) -> tuple[Signal, Value, Value]:
        """Whether a word of probe `k` passed, the word, its exponent, 2 clocks behind `_taps`.

        Which word it is does not change, so that the words need no comparison; it is known 2 clocks
        after the selector was written, and until then nothing is caught.
        """
        hits, used, words, mine, exponents = [], [], [], [], []
        for engine in self.chip.engines:
            for tap, passes, found in (*self._rows(k, engine), self._weights(k, engine)):
                asked = Mux(registered(m, tap, 1), Cat(asked for asked, _ in found), 0)
                used.append(registered(m, asked, 1))
                hits.append(used[-1].any() & registered(m, passes, 1))
                words += [Cat(word, word[-1].replicate(32 - len(word))) for _, word in found]
            mine.append(registered(m, self._mine(k, engine), 1))
            exponents.append(self._taps[engine.index][1].exponent.as_unsigned())
        old, hit = Signal(2, name=f"old{k}"), Signal(name=f"hit{k}")
        m.d.sync += old.eq(Cat(self.select_write[k], old))
        m.d.sync += hit.eq(Cat(hits).any() & ~self.select_write[k] & ~old.any())
        word = selected_late(m, Cat(used), words)
        return hit, word, selected_late(m, Cat(mine), exponents)

    def _mine(self, k: int, engine: Engine) -> Value:
        """Whether the engine serves the layer of the selector."""
        layer = self.select[k][LAYER]
        return Cat(layer == piece.layer for piece in engine.passes).any()

    def _rows(self, k: int, engine: Engine) -> Iterator[Found]:
        """Of neurons, then of errors."""
        select, (neuron, error) = self.select[k], self._taps[engine.index]
        for tap, words in (
            (neuron, {Kind.U: neuron.u, Kind.R: neuron.r}),
            (error, {Kind.V: error.v, Kind.E: error.e, Kind.EXPONENT: error.exponent}),
        ):
            here = (tap.layer == select[LAYER]) & (tap.neuron == select[NEURON])
            found = [(select[KIND] == kind, word) for kind, word in words.items()]
            yield self._mine(k, engine), tap.valid & here, found

    def _weights(self, k: int, engine: Engine) -> Found:
        """Of the weights of all lanes at an address of the bus; these taps are registers."""
        select, tap = self.select[k], getattr(self, f"weight{engine.index}")
        region = next(
            region
            for region in register_map(self.chip).regions
            if (region.kind, region.owner) == ("weight", engine.index)
        )
        address, bits, width = select[ADDRESS], lane_bits(engine.lanes), engine.weight_width
        upper = address[region.address_width :] == region.base >> region.address_width
        lanes = [
            (address[:bits] == lane, tap.word.word_select(lane, width))
            for lane in range(engine.lanes)
        ]
        here = tap.address == address[bits : region.address_width]
        return (select[KIND] == Kind.WEIGHT) & upper, tap.valid & here, lanes
