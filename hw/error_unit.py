"""The errors of an engine's neurons: one row per clock."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.windows import error_kinds
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import GUARD, SUM_WIDTH
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH
from vle.compiler.learning.time_constants import LOG_WIDTH, RATIO_SHIFT, UNIT_SHIFT
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import AccessSignature
from vle.hw.error_filter import ErrorFilter
from vle.hw.error_sum import PART_WIDTH, ErrorSum
from vle.hw.exp2 import Exp2
from vle.hw.learning_signal import LEFT_WIDTH, LearningSignal, signal_draw
from vle.hw.numeric import Delay, choose_late, constant
from vle.hw.primitives import RegisteredMemory
from vle.hw.rescale import CONTEXTS, QUIET_WIDTH, Rescale

RATE_WIDTH = MANTISSA_WIDTH + EXPONENT_WIDTH
POWER = 4  # stage of what follows from logarithms, behind those of constants
ROW = ("valid", "place", "row", "neuron", "last")
STANDING = {
    "blank": 1,
    "zero": 1,
    "learn": 1,
    "has_above": 1,
    "is_target": 1,
    "is_error": 1,
    "above_exponent": signed(PART_WIDTH),
    "loop_exponent": signed(PART_WIDTH),
    "exponent": signed(8),
    "exponent_before": signed(8),
    "quiet": QUIET_WIDTH,
    "noise": 32,
    "rate": RATE_WIDTH,
    "tau_rate": RATE_WIDTH,
}


class ErrorUnit(wiring.Component):
    """One step of a neuron's error in `engine.error_stages` clocks, one neuron per clock.

    Parameters
    ----------
    engine
        Layers, formats and initial parameters.

    Members
    -------
    valid, place, row, neuron, last, context
        A row: stage 0. A pass's rows come in order. Passes take the contexts 0 and 1 in turn.
    blank, zero, learn, has_above, is_target, is_error, above_exponent, loop_exponent
        Per context, standing from stage 1 until `scale_valid`: the layer has no errors in this
        step; its `v` and its derivatives read as 0; it updates; something comes from above; that is
        a target, to be compared with `r`; it is the descent itself nevertheless; exponents of the
        parts.
    exponent, exponent_before, quiet, noise, rate, tau_rate
        Likewise: scale of this step, exponent of the one before, state of the draws, learning
        rates with the mantissa in the lower bits.
    above, loop, target, r
        Words of the row: stage `engine.error_words`. What is no target comes from above, and 0
        with one.
    prime_neuron, prime
        Whose derivative is to stand 2 clocks later; it.
    o_valid, o_place, o_row, o_neuron, o_last, e, inst_e, signal, v
        Stage `engine.error_stages`.
    signal_m, signal_r, log_m, log_r
        Where time constants learn: signals of their logarithms, beside `signal`; logarithms of the
        row: stage 2.
    clamped_error, clamped_signal
        Whether a word of its error was clamped, and how many of its signals were.
    scale_valid, scale_place, scale_exponent, scale_quiet
        Scale of the next step: stage `engine.scale_stages` of the last row.
    access_<kind>
        From the bus: words by neuron.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.top = any(piece.top for piece in engine.passes)
        self.loops = any(piece.loops for piece in engine.passes)
        self.heard = engine.error_words + 1
        self.s_stage = self.heard + 2 + self.loops
        self.e_stage = self.s_stage + 5
        neuron, place = range(max(2, engine.neurons)), range(max(2, len(engine.passes)))
        row = range(max(2, *(spec.outputs for spec in engine.layers)))
        error, width = signed(engine.error_width), signed(SUM_WIDTH)
        shapes = dict(zip(ROW, (1, place, row, neuron, 1), strict=True))
        members = {name: In(shape) for name, shape in shapes.items()}
        members |= {f"o_{name}": Out(shape) for name, shape in shapes.items()}
        members |= {name: In(shape).array(CONTEXTS) for name, shape in STANDING.items()}
        members |= {
            "context": In(1),
            "above": In(width),
            "loop": In(width),
            "target": In(width),
            "r": In(signed(max(PRIME_WIDTH, engine.rate_width))),
            "prime_neuron": Out(neuron),
            "prime": In(signed(PRIME_WIDTH)),
            "e": Out(error),
            "inst_e": Out(error),
            "signal": Out(signed(SIGNAL_WIDTH)),
            "v": Out(signed(engine.v_width)),
            "clamped_error": Out(1),
            "clamped_signal": Out(2),
            "scale_valid": Out(1),
            "scale_place": Out(place),
            "scale_exponent": Out(signed(EXPONENT_WIDTH)),
            "scale_quiet": Out(QUIET_WIDTH),
        }
        if engine.learns_time_constants:
            members |= {"log_m": In(LOG_WIDTH), "log_r": In(LOG_WIDTH)}
            members |= dict.fromkeys(("signal_m", "signal_r"), Out(signed(SIGNAL_WIDTH)))
        bits = max(1, (engine.neurons - 1).bit_length())
        members |= {f"access_{kind}": In(AccessSignature(bits)) for kind in error_kinds(engine)}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        engine, end = self.engine, self.engine.error_stages
        assert self.e_stage + 3 == end
        assert self.s_stage - 2 == engine.prime_words
        self._at = {name: Delay(m, getattr(self, name), name) for name in (*ROW, "context")}
        self._first = Delay(m, self.row == 0, "first")
        self._m = m
        self._chosen: dict[tuple[str, int], Value] = {}
        m.submodules.sum = parts = ErrorSum(engine)
        m.submodules.filter = unit = ErrorFilter(engine)
        self._connect_sum(m, parts, unit)
        self._connect_filter(m, parts, unit)
        inst = Delay(m, unit.inst_e, "inst_e", first=self.s_stage + 2)
        e = Delay(m, unit.e, "e", first=self.e_stage)
        self._connect_signals(m, inst, e)
        overs = [
            Delay(m, parts.over, "s_over", first=self.s_stage),
            Delay(m, unit.inst_over, "inst_over", first=self.s_stage + 2),
            Delay(m, unit.e_over, "e_over", first=self.e_stage),
        ]
        self._connect_scale(m, parts, unit)
        m.d.comb += [
            self.inst_e.eq(inst[end]),
            self.e.eq(e[end]),
            self.v.eq(Delay(m, unit.v, "v", first=self.e_stage + 1)[end]),
            self.clamped_error.eq(Cat(over[end] for over in overs).any() & self._at["valid"][end]),
            *(getattr(self, f"o_{name}").eq(self._at[name][end]) for name in ROW),
        ]
        return m

    def _of(self, name: str, stage: int) -> Value:
        """Input that stands, of the pass whose row is at `stage`: chosen a clock before."""
        return self._chosen_of(name, getattr(self, name), stage, since=1)

    def _chosen_of(self, name: str, pair: Sequence[Value], stage: int, since: int) -> Value:
        """Word that stands from stage `since` on, of the pass whose row is at `stage`."""
        one, other = pair
        if stage == since:
            return Mux(self._at["context"][stage], other, one)
        if (name, stage) not in self._chosen:
            word = Signal.like(one, name=f"{name}_{stage}", reset_less=True)
            self._m.d.sync += word.eq(Mux(self._at["context"][stage - 1], other, one))
            self._chosen[name, stage] = word
        return self._chosen[name, stage]

    def _connect_sum(self, m: Module, parts: ErrorSum, unit: ErrorFilter) -> None:
        """Words in, with what the layer does not hear left out."""
        words, heard = self.engine.error_words, self.heard
        blank = self._of("blank", words)
        silent = blank | ~self._of("has_above", words)
        m.d.comb += parts.place.eq(self._at["place"][heard])
        m.d.comb += parts.no_above.eq(Delay(m, silent, "silent", first=words)[heard])
        above = Signal(signed(SUM_WIDTH + 1), name="above", reset_less=True)
        m.d.sync += above.eq(self.above)
        if self.top:
            compared = self.target - Mux(self._of("is_error", words), 0, self.r)
            with m.If(self._of("is_target", words)):
                m.d.sync += above.eq(compared)
        m.d.comb += parts.above.eq(above)
        self._shift(m, parts, "above", "above_exponent", GUARD)
        self._shift(m, parts, "v", "exponent_before", 0)
        if self.loops:
            loops = [piece.loops for piece in self.engine.passes]
            own = choose_late(m, self._at["place"][words - 1], loops, lambda on: C(on, 1))
            m.d.comb += parts.loop.eq(Delay(m, self.loop, "loop", first=words)[heard])
            m.d.comb += parts.no_loop.eq(Delay(m, ~own | blank, "no_loop", first=words)[heard])
            self._shift(m, parts, "loop", "loop_exponent", GUARD)
        m.d.comb += [
            parts.v.eq(self._v(m, unit)),
            parts.no_v.eq(self._of("blank", heard) | self._of("zero", heard)),
        ]

    def _shift(self, m: Module, parts: ErrorSum, word: str, exponent: str, guard: int) -> None:
        """How far a word in units of `exponent` is to be shifted for this step's, to the right."""
        port, gaps = getattr(parts, f"{word}_right"), []
        for context in range(CONTEXTS):
            gap = Signal.like(port, name=f"{word}_gap{context}", reset_less=True)
            before, now = getattr(self, exponent)[context], self.exponent[context]
            m.d.sync += gap.eq(now - before + (parts.below_of(word) - guard))
            gaps.append(gap)
        m.d.comb += port.eq(self._chosen_of(f"{word}_gap", gaps, self.heard - 1, since=2))

    def _connect_filter(self, m: Module, parts: ErrorSum, unit: ErrorFilter) -> None:
        aligned, s_stage = self.heard + 2, self.s_stage
        m.d.comb += [
            self.prime_neuron.eq(self._at["neuron"][self.engine.prime_words]),
            unit.place.eq(self._at["place"][aligned]),
            unit.low.eq(parts.low),
            unit.s.eq(parts.s),
            unit.prime.eq(self.prime),
            unit.flat.eq(self._of("zero", s_stage + 1)),
        ]
        if self.engine.learns_time_constants:
            kappa = self._power(m, "kappa", self.log_m, self.log_r, RATIO_SHIFT)
            beta = self._power(m, "beta", C(0), self.log_r, UNIT_SHIFT)
            m.d.comb += [unit.kappa.eq(kappa[aligned]), unit.beta.eq(beta[s_stage + 3])]
        else:
            m.d.comb += [
                unit.kappa.eq(self._constant(m, "kappa", aligned)),
                unit.beta.eq(self._constant(m, "beta", s_stage + 3)),
            ]

    def _power(self, m: Module, name: str, plus: Value, minus: Value, shift: int) -> Delay:
        """Return a constant that follows from logarithms."""
        m.submodules[name] = unit = Exp2(shift)
        m.d.comb += [unit.plus.eq(plus), unit.minus.eq(minus)]
        return Delay(m, unit.o, name, first=self.engine.front + POWER)

    def _v(self, m: Module, unit: ErrorFilter) -> Value:
        """Low-passed error of the step before, a neuron's word at stage `heard`."""
        access, written, width = self.access_v, self.e_stage + 1, self.engine.v_width
        m.submodules.v = memory = RegisteredMemory(signed(width), self.engine.neurons)
        neuron, valid = self._at["neuron"], self._at["valid"]
        m.d.comb += [
            memory.r_addr.eq(Mux(access.active, access.address, neuron[self.heard - 2])),
            access.r_data.eq(memory.r_data),
            memory.w_addr.eq(Mux(access.active, access.address, neuron[written])),
            memory.w_data.eq(Mux(access.active, access.w_data, unit.v)),
            memory.w_en.eq(Mux(access.active, access.write, valid[written])),
        ]
        return memory.r_data

    def _constant(self, m: Module, kind: str, stage: int) -> Value:
        """Return a neuron's `kappa` or `beta`, registered at `stage`."""
        engine, access = self.engine, getattr(self, f"access_{kind}")
        words = [int(word) for spec in engine.learning for word in getattr(spec, kind)]
        memory = RegisteredMemory(engine.constant_width, engine.neurons, words)
        setattr(m.submodules, kind, memory)
        neuron = self._at["neuron"][stage - 2]
        m.d.comb += [
            memory.r_addr.eq(Mux(access.active, access.address, neuron)),
            access.r_data.eq(memory.r_data),
            memory.w_addr.eq(access.address),
            memory.w_data.eq(access.w_data),
            memory.w_en.eq(access.write),
        ]
        return memory.r_data

    def _connect_signals(self, m: Module, inst: Delay, e: Delay) -> None:
        """Learning signals of the weights: of `inst_e` by filtered inputs, of `e` otherwise."""
        stage, at, engine = self.e_stage, self._at, self.engine
        noise = self._of("noise", stage + 1)
        draw = signal_draw(m, noise, at["valid"][stage + 1], self._first[stage + 1])
        filtered = [learning.filtered for learning in engine.learning]
        place = at["place"][stage - 1]
        word = choose_late(m, place, filtered, lambda on: inst[stage] if on else e[stage])
        counts = [self._signal(m, "signal", "rate", word, draw)]
        if engine.learns_time_constants:
            minus = [not on for on in filtered]
            counts.append(self._signal(m, "signal_m", "tau_rate", word, ~draw, minus))
            counts.append(self._signal(m, "signal_r", "tau_rate", inst[stage], ~draw))
        m.d.comb += self.clamped_signal.eq(Mux(at["valid"][stage + 3], sum(counts), 0))

    def _signal(  # noqa: PLR0917 - a rate, what it meets, and its sign
        self,
        m: Module,
        name: str,
        kind: str,
        error: Value,
        draw: Value,
        minus: Sequence[bool] = (False,),
    ) -> Value:
        """Signal at one of the rates, negated where told; return whether it was clamped."""
        stage, at = self.e_stage, self._at
        m.submodules[name] = unit = LearningSignal(len(error))
        field = {"rate": "signal", "tau_rate": "tau"}[kind]
        points = [getattr(p.points, field) for p in self.engine.passes]
        before = at["place"][stage - 2]
        point = choose_late(m, before, points, constant)
        exponent, rate = self._of("exponent", stage - 1), self._of(kind, stage - 1)
        left = Signal(signed(LEFT_WIDTH), name=f"{name}_left", reset_less=True)
        m.d.sync += left.eq(point + exponent - rate[MANTISSA_WIDTH:].as_signed())
        mantissa, factor = rate[:MANTISSA_WIDTH], Signal.like(unit.mantissa, name=f"{name}_factor")
        learn = self._of("learn", stage - 1)
        word = choose_late(m, before, minus, lambda negated: -mantissa if negated else mantissa)
        m.d.sync += factor.eq(Mux(learn, word, 0))
        m.d.comb += [
            unit.mantissa.eq(factor),
            unit.error.eq(error),
            unit.left.eq(left),
            unit.draw.eq(draw),
            getattr(self, name).eq(unit.signal),
        ]
        return unit.saturated

    def _connect_scale(self, m: Module, parts: ErrorSum, unit: ErrorFilter) -> None:
        """Bits that any word uses decide on the exponent; a clamped sum counts as one bit more."""
        at, stage = self._at, self.e_stage
        widths = [learning.error_width for learning in self.engine.learning]
        before = at["place"][self.s_stage - 1]
        clamped = choose_late(m, before, widths, lambda width: C(1 << width + 1))
        sources = [
            (self.s_stage, Mux(parts.over, clamped, 0)),
            (self.s_stage + 2, unit.inst_bits),
            (stage, unit.e_bits),
            (stage + 1, unit.v_bits),
        ]
        m.submodules.rescale = rescale = Rescale([len(word) for _, word in sources], max(widths))
        for k, (when, word) in enumerate(sources):
            m.d.comb += [
                rescale.valid[k].eq(at["valid"][when]),
                rescale.context[k].eq(at["context"][when]),
                getattr(rescale, f"magnitude{k}").eq(word),
            ]
        done = stage + 2
        place = Delay(m, at["place"][done], "scale_place")
        m.d.comb += [
            rescale.clear.eq(at["valid"][1] & self._first[1]),
            rescale.clear_context.eq(at["context"][1]),
            rescale.last.eq(at["valid"][done] & at["last"][done]),
            rescale.last_context.eq(at["context"][done]),
            rescale.exponent.eq(self._of("exponent", done)),
            rescale.quiet.eq(self._of("quiet", done)),
            rescale.error_width.eq(choose_late(m, at["place"][done - 1], widths, constant)),
            self.scale_valid.eq(rescale.o_valid),
            self.scale_exponent.eq(rescale.o_exponent),
            self.scale_quiet.eq(rescale.o_quiet),
            self.scale_place.eq(place[2]),
        ]
