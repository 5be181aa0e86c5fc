"""What a word of weights becomes: one product for each, rounded stochastically."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.noise import WIDTH as DRAW
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.noise import STATE_WIDTH, Draws
from vle.hw.numeric import Chooser, Delay, chooser, constant, multiply, saturate
from vle.hw.primitives.product import registered

COUNTED = 4  # flags added per stage


def trace_count(engine: Engine) -> int:
    """Count the filtered words per column that rows choose from; 0 where none are filtered."""
    return max(piece.learning.groups for piece in engine.passes)


class WeightUpdate(wiring.Component):
    """`w = sat((w * 2**17 + (2 * draw + 1) + signal * x * 2**(17 - shift)) >> 17)`.

    That is `updates.update_weights`: bits below those of a draw cannot carry, nor can those of a
    draw below the product's. A lane has one
    multiplier and one adder; weight and draw side by side are its other operand. From a word at
    stage 2 to the new one at stage 8; nothing waits.

    Parameters
    ----------
    engine
        Layers, and how they learn.

    Members
    -------
    valid, first, first_group, place, noise
        Of a tile, stage 1: as in `Draws`; the layer by its place in the order of work.
    weights, signal, operand, heard
        Stage 2: the word read, learning signals of `pe` rows, what `simd` columns hear; the same
        filtered, trace by trace, where a layer learns by that.
    o_valid, address, o
        Stage 8: the new word and where it belongs.
    clamped, clamped_place
        Weights clamped, some clocks later, and their layer.
    """

    def __init__(self, engine: Engine):
        self.engine, self.traces = engine, trace_count(engine)
        columns = engine.simd * engine.operand_width
        place = range(max(2, len(engine.passes)))
        members = {
            **dict.fromkeys(("valid", "first", "first_group"), In(1)),
            "place": In(place),
            "noise": In(STATE_WIDTH),
            "weights": In(engine.lanes * engine.weight_width),
            "signal": In(engine.pe * SIGNAL_WIDTH),
            "operand": In(columns),
            "o_valid": Out(1),
            "address": Out(range(max(2, engine.fold))),
            "o": Out(engine.lanes * engine.weight_width),
            "clamped": Out(range(engine.lanes + 1)),
            "clamped_place": Out(place),
        }
        if self.traces:
            members["heard"] = In(columns * self.traces)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        self._place = Delay(m, self.place, "place", first=1)
        self._valid = Delay(m, self.valid, "valid", first=1)
        draws, weights = self._draws(m), Delay(m, self.weights, "weights", first=2, reset_less=True)
        signal = Delay(m, self.signal, "signal", first=2, reset_less=True)[3]
        sources, flags, words = self._heard(m), [], []
        passes = self.engine.passes
        shifts = [piece.learning.update_shift for piece in passes]
        sized = chooser(m, self._place[6], [piece.spec.weight_width for piece in passes])
        for row in range(self.engine.pe):
            shifted = chooser(m, self._place[4], shifts, near=True)
            for column in range(self.engine.simd):
                lane = row * self.engine.simd + column
                factor = signal.word_select(row, SIGNAL_WIDTH).as_signed()
                step = self._step(m, factor, sources(row, column), shifted, f"step{lane}")
                draw = draws.rows.word_select(row, DRAW) + draws.columns.word_select(column, DRAW)
                weight = weights[5].word_select(lane, self.engine.weight_width)
                met = Signal(signed(1 + DRAW + len(weight)), name=f"met{lane}", reset_less=True)
                m.d.sync += met.eq(Cat(C(1, 1), draw[:DRAW], weight))
                new, over = self._sum(m, met, step, sized, lane)
                words.append(new)
                flags.append(over)
        m.d.comb += [self.o.eq(registered(m, Cat(words), 1)), self.o_valid.eq(self._valid[8])]
        self._address(m)
        self._count(m, flags)
        return m

    def _draws(self, m: Module) -> Draws:
        """Draws of rows and columns, stage 5."""
        m.submodules.draws = draws = Draws(self.engine.pe, self.engine.simd)
        for name in ("first", "first_group", "noise"):
            late = Delay(m, getattr(self, name), name, first=1)[2]
            m.d.comb += getattr(draws, name).eq(late)
        m.d.comb += draws.valid.eq(self._valid[2])
        return draws

    @cached_property
    def _choices(self) -> list[list[int]]:
        """Which source each row of a group hears, group after group; `traces`: the operand."""
        groups = []
        for piece in self.engine.passes:
            rows = [self.traces] * piece.spec.outputs
            if piece.learning.filtered:
                rows = piece.learning.group.tolist()
            rows += rows[-1:] * (piece.groups * piece.pe - len(rows))
            groups += [rows[g * piece.pe :][: piece.pe] for g in range(piece.groups)]
        return groups

    def _heard(self, m: Module) -> Callable[[int, int], Value]:
        """Return what row and column give a word of stage 3: the operand, or the row's trace."""
        width, size = self.engine.operand_width, self.engine.simd * self.engine.operand_width
        sources = [self.heard[k * size :][:size] for k in range(self.traces)] + [self.operand]
        select = self._select(m)

        def word(row: int, column: int) -> Value:
            words = [source.word_select(column, width) for source in sources]
            used = {group[row] for group in self._choices}
            chosen = words[used.pop()] if len(used) == 1 else Array(words)[select[row]]
            heard = Signal(signed(width), name=f"heard{row}_{column}", reset_less=True)
            m.d.sync += heard.eq(chosen)
            return heard

        return word

    def _select(self, m: Module) -> list[Value]:
        """Look up the sources of a group's rows, once per group, for stage 2."""
        bits, choices = max(1, self.traces.bit_length()), self._choices
        if all(group == choices[0] for group in choices):
            return [C(source, bits) for source in choices[0]]
        select, group = Signal(bits * self.engine.pe), Signal(range(max(2, len(choices))))
        words = [sum(s << bits * row for row, s in enumerate(rows)) for rows in choices]
        with m.If(self.valid & self.first):
            m.d.sync += select.eq(Array(C(word, len(select)) for word in words)[group])
            m.d.sync += group.eq(Mux(group == len(choices) - 1, 0, group + 1))
        return [select.word_select(row, bits) for row in range(self.engine.pe)]

    def _step(self, m: Module, signal: Value, heard: Value, shifted: Chooser, name: str) -> Signal:
        """Multiply, stage 5; of the product what a draw and a weight can meet, stage 6."""
        product, spare = multiply(m, signal, heard, lane=True), DRAW + 1
        least = min(piece.learning.update_shift for piece in self.engine.passes)
        step = Signal(signed(len(product) - least + spare), name=name, reset_less=True)

        def cut(shift: int) -> Value:
            more = max(0, spare - shift)
            return Cat(C(0, more), product[max(0, shift - spare) :]).as_signed()

        m.d.sync += step.eq(shifted(cut))
        return step

    def _sum(
        self, m: Module, before: Value, step: Signal, sized: Chooser, lane: int
    ) -> tuple[Value, Value]:
        """Add and drop the draw's bits, stage 7; clamp to the layer's width, for stage 8."""
        total = (before + step)[DRAW + 1 :].as_signed()
        new = Signal(total.shape(), name=f"new{lane}", reset_less=True)
        m.d.sync += new.eq(total)

        def clamp(width: int) -> Value:
            word, over = saturate(new, width)
            more = self.engine.weight_width - width
            return Cat(word, word[-1].replicate(more), over)

        both = Signal(self.engine.weight_width + 1, name=f"both{lane}")
        m.d.comb += both.eq(sized(clamp))
        return both[:-1], both[-1]

    def _address(self, m: Module) -> None:
        """Words come in the order in which they lie."""
        with m.If(self.o_valid):
            last = self.address == self.engine.fold - 1
            m.d.sync += self.address.eq(Mux(last, 0, self.address + 1))

    def _count(self, m: Module, flags: list[Value]) -> None:
        """Count clamped weights, `COUNTED` numbers per stage."""
        over, stage = Signal(len(flags), reset_less=True), 8
        m.d.sync += over.eq(Cat(flags))
        counts: Sequence[Value] = [over[k] & self.o_valid for k in range(len(flags))]
        while stage == 8 or len(counts) > 1:
            sums, stage = [], stage + 1
            for k in range(0, len(counts), COUNTED):
                total = sum(counts[k : k + COUNTED], start=constant(0).as_unsigned())
                register = Signal(range(len(flags) + 1), name=f"clamped{stage}_{k}")
                m.d.sync += register.eq(total)
                sums.append(register)
            counts = sums
        m.d.comb += self.clamped.eq(counts[0])
        if len(self.engine.passes) > 1:
            m.d.comb += self.clamped_place.eq(self._place[stage])
