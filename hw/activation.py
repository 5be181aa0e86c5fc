"""The two activation circuits, each for all layers of an engine that use its kind."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler import activation
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import activation_stages
from vle.compiler.circuit.registers import tables
from vle.hw.bus import AccessSignature
from vle.hw.numeric import Delay, below_point, choose, choose_late, constant, multiply_add, saturate
from vle.hw.primitives import RegisteredMemory


class PiecewiseLinear(wiring.Component):
    """`r = clamp(round(slope * prosp / 2**shift) + offset, low, high)`.

    Latency 4 clocks; 2 where all slopes are powers of two. One result per clock.

    Parameters
    ----------
    engine
        Layers; what it answers for those with tables has no meaning.

    Members
    -------
    place, prosp
        Layer by its place in the order of work; a clock later, its prospective potential.
    mute
        A clock before the rate: it is 0, and not clamped.
    r, saturated
        Rate, and whether it was clamped to the end of its format.
    flat
        Where it learns: whether it was clamped to a bound of the function itself.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        kinds = [spec.activation for spec in engine.layers]
        known = [kind for kind in kinds if isinstance(kind, activation.PiecewiseLinear)]
        self.specs = [kind if kind in known else known[0] for kind in kinds]
        self.stages = max(map(activation_stages, self.specs))
        members = {
            "place": In(range(max(2, len(engine.passes)))),
            "prosp": In(signed(engine.u_width)),
            "mute": In(1),
            "r": Out(signed(engine.rate_width)),
            "saturated": Out(1),
        }
        super().__init__(members | ({"flat": Out(1)} if engine.learns else {}))

    def elaborate(self, platform) -> Module:
        m = Module()
        place = Delay(m, self.place, "place", first=-1)
        at, end = place[self.stages - 3], place[self.stages - 2]  # a clock before
        if self.stages == 2:
            total = self._shifted(m, at) + self._addend(m, at)
        else:
            total = self._product(m, place)
        shifted = choose_late(m, at, [spec.shift for spec in self.specs], total.shift_right)
        rate = Signal.like(shifted, name="rate", reset_less=True)
        m.d.sync += rate.eq(shifted)
        low, high = (
            choose_late(m, end, [getattr(spec, name) for spec in self.specs], constant)
            for name in ("low", "high")
        )
        counts_low, counts_high = (
            choose_late(m, end, [getattr(spec, name) for spec in self.specs], lambda on: C(on, 1))
            for name in ("counts_low", "counts_high")
        )
        below, above = rate < low, rate > high
        clamped = (below & counts_low) | (above & counts_high)
        _answer(m, self, Mux(below, low, Mux(above, high, rate)), clamped)
        if self.engine.learns:
            m.d.sync += self.flat.eq((below & ~counts_low) | (above & ~counts_high))
        return m

    def _shifted(self, m: Module, place: Value) -> Value:
        """Product with powers of two and 0."""
        slopes = [(spec.negative_slope, spec.positive_slope) for spec in self.specs]
        return choose_late(
            m, place, slopes, lambda pair: Mux(self.prosp < 0, *map(self._times, pair))
        )

    def _times(self, slope: int) -> Value:
        if slope == 0:
            return C(0, signed(1))
        return Cat(C(0, slope.bit_length() - 1), self.prosp).as_signed()

    def _addend(self, m: Module, place: Value) -> Value:
        addends = [(spec.offset, spec.shift) for spec in self.specs]
        return choose_late(m, place, addends, lambda key: below_point(constant(key[0]), key[1]))

    def _product(self, m: Module, stages: Delay) -> Value:
        """Product and addend behind two registers."""
        place = stages[-1]
        negative = choose_late(m, place, [spec.negative_slope for spec in self.specs], constant)
        positive = choose_late(m, place, [spec.positive_slope for spec in self.specs], constant)
        slope = Signal(signed(18))
        m.d.comb += slope.eq(Mux(self.prosp < 0, negative, positive))
        return multiply_add(m, self.prosp, slope, self._addend(m, stages[0]), kind="slope")


def _answer(m: Module, unit: wiring.Component, word: Value, over: Value) -> None:
    """Give the rate and whether it was clamped, or 0; nothing else resets their registers."""
    for port, value in ((unit.r, word), (unit.saturated, over)):
        answer = Signal.like(port, name="answer", reset_less=True)
        m.d.sync += answer.eq(Mux(unit.mute, 0, value))
        m.d.comb += port.eq(answer)


class Table(wiring.Component):
    """`r = value[i] + round(delta[i] * f / 2**shift)`, and a tail that grows on where there is one.

    Latency 5 clocks, one result per clock. The fractions of all layers are aligned to the largest
    shift, so that they share multiplier and adder.

    Parameters
    ----------
    engine
        Layers; what it answers for those without a table has no meaning.

    Members
    -------
    place, prosp
        Layer by its place in the order of work; a clock later, its prospective potential.
    mute
        A clock before the rate: it is 0, and not clamped.
    r, saturated
        Rate, and whether it was clamped to the end of its format.
    slope
        Where it learns: step of the table's piece, 2 clocks after the potential.
    access_value<k>, access_delta<k>
        From the bus: entries of the engine's `k`-th distinct table.
    """

    stages = 5

    def __init__(self, engine: Engine):
        self.engine, self.tables = engine, tables(engine)
        kinds = [spec.activation for spec in engine.layers]
        self.specs = [k if isinstance(k, activation.Table) else self.tables[0] for k in kinds]
        self.index_width = max(table.index_width for table in self.tables)
        self.shift = max(table.shift for table in self.tables)
        members = {
            "place": In(range(max(2, len(engine.passes)))),
            "prosp": In(signed(engine.u_width)),
            "mute": In(1),
            "r": Out(signed(engine.rate_width)),
            "saturated": Out(1),
        }
        if engine.learns:
            members["slope"] = Out(signed(engine.rate_width + 1))
        for k, table in enumerate(self.tables):
            members[f"access_value{k}"] = In(AccessSignature(table.index_width))
            members[f"access_delta{k}"] = In(AccessSignature(table.index_width))
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        place = Delay(m, self.place, "place", first=-1)
        inside = choose_late(m, place[-1], self.specs, self._inside)
        clamped = Signal(signed(max(self.engine.u_width, self.shift + self.index_width)))
        m.d.comb += clamped.eq(inside)
        fits = Signal()
        m.d.comb += fits.eq(self._fits(m, place[-1]))
        address = self._entry(m, place[-1], fits)
        width = self.engine.rate_width
        value = self._memory(m, address, "value", width)
        delta = self._memory(m, address, "delta", width + 1)
        if self.engine.learns:
            m.d.comb += self.slope.eq(delta)
        fraction = Signal(self.shift)
        m.d.comb += fraction.eq(self._fraction(m, place[-1], fits))
        addend = below_point(Delay(m, value, "value", first=2)[3], self.shift)
        total = multiply_add(m, delta, Delay(m, fraction, "fraction")[2], addend, kind="table")
        rate = total.shift_right(self.shift) + self._tail(m, place, clamped)[4]
        self._answer(m, place[3], rate)
        return m

    def _answer(self, m: Module, place: Value, rate: Value) -> None:
        """Clamp where there is a tail; elsewhere no entry passes the ends."""
        keys = [(table.rate_width, table.tail_shift is not None) for table in self.specs]

        def over(key: tuple[int, bool]) -> Value:
            return saturate(rate, key[0])[1] if key[1] else C(0, 1)

        word = choose_late(m, place, keys, lambda key: saturate(rate, key[0])[0])
        over_each = choose_late(m, place, keys, over)
        _answer(m, self, word, over_each)

    def _inside(self, table: activation.Table) -> Value:
        """Clamp the potential to the domain."""
        return saturate(self.prosp, table.index_width + table.shift)[0]

    def _fits(self, m: Module, place: Value) -> Value:
        """Whether the potential is in the domain: all bits from its end on are as the sign."""
        width, ends = len(self.prosp), [spec.index_width + spec.shift - 1 for spec in self.specs]
        masks = [(1 << width) - (1 << min(width, end)) for end in ends]
        mask = Signal(width, init=masks[0], reset_less=True)
        m.d.sync += mask.eq(choose(place, masks, lambda bits: C(bits, width)))
        return ~((self.prosp ^ self.prosp[-1].replicate(width)) & mask).any()

    def _ended(self, fits: Value, word: Value, last: Value) -> Value:
        """Word in the domain, 0 below it, the last one above: chosen when all are there."""
        return Mux(fits, word, Mux(self.prosp[-1], 0, last))

    def _entry(self, m: Module, place: Value, fits: Value) -> Value:
        """Entry, counted from the lower end of the domain, in the table's part of the memory."""

        def index(table: activation.Table) -> Value:
            word = self._bits(table.shift, table.index_width)
            return word ^ 1 << table.index_width - 1

        lasts = [(1 << table.index_width) - 1 for table in self.specs]
        parts = [self.tables.index(table) for table in self.specs]
        entry = self._ended(
            fits,
            choose_late(m, place, self.specs, index),
            choose_late(m, place, lasts, lambda last: C(last, self.index_width)),
        )
        part = choose_late(m, place, parts, lambda k: C(k, range(max(2, len(self.tables)))))
        return Cat(entry[: self.index_width], part)

    def _fraction(self, m: Module, place: Value, fits: Value) -> Value:
        """Bits below the entry's, aligned to those of the largest shift."""
        shifts = [table.shift for table in self.specs]
        return self._ended(
            fits,
            choose_late(m, place, shifts, lambda s: Cat(C(0, self.shift - s), self._bits(0, s))),
            choose_late(m, place, shifts, lambda s: Cat(C(0, self.shift - s), C((1 << s) - 1, s))),
        )

    def _bits(self, low: int, count: int) -> Value:
        """So many bits of the potential from `low` on."""
        sign = self.prosp[-1].replicate(max(0, low + count - len(self.prosp)))
        return Cat(self.prosp, sign)[low : low + count]

    def _memory(self, m: Module, address: Value, what: str, width: int) -> Value:
        """Return the entry, 2 clocks later."""
        words = [word for table in self.tables for word in self._padded(getattr(table, what))]
        memory = RegisteredMemory(signed(width), len(words), words)
        setattr(m.submodules, what, memory)
        ports = [getattr(self, f"access_{what}{k}") for k in range(len(self.tables))]
        active, w_address, w_data = C(0, 1), C(0, 1), C(0, 1)
        for k, port in enumerate(ports):
            active |= port.active
            w_address |= Mux(port.active, port.address | (k << self.index_width), 0)
            w_data |= Mux(port.active, port.w_data, 0)
            m.d.comb += port.r_data.eq(memory.r_data)
        m.d.comb += [
            memory.r_addr.eq(Mux(active, w_address, address)),
            memory.w_addr.eq(w_address),
            memory.w_data.eq(w_data),
            memory.w_en.eq(Cat(port.write for port in ports).any()),
        ]
        return memory.r_data

    def _padded(self, words: tuple[int, ...]) -> list[int]:
        return [*words, *[0] * ((1 << self.index_width) - len(words))]

    def _tail(self, m: Module, place: Delay, clamped: Value) -> Delay:
        """Grow beyond the upper end, by `round((p - clamp(p)) / 2**tail_shift)`."""
        shifts = [table.tail_shift for table in self.specs]
        if not any(shift is not None for shift in shifts):
            return Delay(m, C(0, signed(1)), "tail", first=4)
        excess, tail = (Signal(signed(self.engine.u_width + 1), name=n) for n in ("excess", "tail"))
        m.d.sync += excess.eq(Mux(self.prosp > clamped, self.prosp - clamped, 0))
        m.d.sync += tail.eq(
            choose_late(
                m,
                place[0],
                shifts,
                lambda shift: (
                    C(0, signed(1)) if shift is None else (excess + (1 << shift >> 1)) >> shift
                ),
            )
        )
        return Delay(m, tail, "tail", first=2)
