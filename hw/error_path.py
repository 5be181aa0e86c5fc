"""The errors of an engine: when they are worked on, what they hear, and where they go."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import SUM_WIDTH
from vle.hw.error_memory import ErrorMemory, WordMemory
from vle.hw.error_scheduler import CONTEXTS, ErrorScheduler
from vle.hw.error_unit import PART_WIDTH, RATE_WIDTH, ErrorUnit
from vle.hw.learning_registers import STATE_WIDTH, LearningRegisters
from vle.hw.numeric import Delay, selected
from vle.hw.rescale import EXPONENT_WIDTH
from vle.hw.softmax import Softmax


class ErrorPath(wiring.Component):
    """Error passes of an engine's layers: `ErrorScheduler`, `ErrorUnit`, and the words between.

    Parameters
    ----------
    engine
        Geometry.
    pending_limit
        Steps that the input may be ahead of this engine.
    loss
        Of the network: what targets are compared with.

    Members
    -------
    step, step_target, step_freeze, hear_ready, hear_start, waiting, sums_ready, loop_sums_ready
        As in `ErrorScheduler`.
    target_ready, is_error
        Whether a target frame is there; whether it is the descent itself.
    begin, took
        Per place: an error pass began a clock ago; it takes its last words.
    take, last, here
        The error pass at work takes its next words, from above and of its own; these are its last;
        per place, whether that is it.
    take_target
        It takes the next word of a target.
    above, loop, target
        Words, 2 clocks after `take`, `take_target`; sums are 0 where none was taken.
    above_exponent<k>, loop_exponent<k>
        Of those of the layer at place `k`.
    rate, tau_rate
        Per place.
    primed, prime_valid, prime_neuron, prime, rate_valid, top_row, top_rate
        From the neurons: derivatives of one more group come; a derivative; a rate of the top.
    group, e, signal, row_group, row_lane, row_signal, errors
        As in `ErrorMemory`; `errors`: those of one more group are there.
    noise, before
        Per place: state of the draws and exponent of the error pass that began last.
    zero, zero_write, zero_data
        Per place: no error pass since reset; from the bus.
    exponent_word, noise_word, exponent_write, noise_write, data
        Registers as the bus sees them, per place.
    o_exponent
        Of the error that the `ErrorUnit`, at `unit`, gives in this clock.
    """

    def __init__(self, engine: Engine, pending_limit: int, loss: str):
        self.engine = engine
        self.scheduler = ErrorScheduler(engine, pending_limit)
        self.unit, self.memory = ErrorUnit(engine), ErrorMemory(engine)
        self.primes = WordMemory(PRIME_WIDTH, engine.neurons)
        self.registers = [LearningRegisters(learning) for learning in engine.learning]
        self.top = next((k for k, piece in enumerate(engine.passes) if piece.top), None)
        if self.top is not None:
            spec = engine.layers[self.top]
            self.rates: Softmax | WordMemory = (
                Softmax(spec)
                if loss == "cross_entropy"
                else WordMemory(spec.rate_format.width, spec.outputs)
            )
            self.nothing = getattr(self.rates, "nothing", 0)
        super().__init__(self._members())

    def _members(self) -> dict:
        engine, places = self.engine, len(self.engine.passes)
        per_place = ("hear_ready", "hear_start", "waiting", "sums_ready", "loop_sums_ready")
        memory = self.memory.signature.members
        members = {
            **dict.fromkeys(("step", "step_target", "step_freeze"), In(1)),
            **dict.fromkeys(per_place, In(places)),
            **dict.fromkeys(("target_ready", "is_error", "primed", "prime_valid"), In(1)),
            **dict.fromkeys(("begin", "here", "took"), Out(places)),
            **dict.fromkeys(("take", "last"), Out(1)),
            "take_target": Out(1),
            "o_exponent": Out(signed(EXPONENT_WIDTH)),
            **dict.fromkeys(("rate", "tau_rate"), In(RATE_WIDTH).array(places)),
            "prime_neuron": In(range(max(2, engine.neurons))),
            "prime": In(signed(PRIME_WIDTH)),
            "rate_valid": In(1),
            "top_row": In(range(max(2, *(spec.outputs for spec in engine.layers)))),
            "top_rate": In(signed(engine.rate_width)),
            **{name: memory[name] for name in ("group", "e", "signal")},
            **{name: memory[name] for name in ("row_group", "row_lane", "row_signal")},
            "errors": Out(1),
            "noise": Out(STATE_WIDTH).array(places),
            "before": Out(signed(EXPONENT_WIDTH)).array(places),
            "zero": Out(places, init=(1 << places) - 1),
            **dict.fromkeys(("zero_write", "zero_data"), In(places)),
            **dict.fromkeys(("exponent_word", "noise_word"), Out(32).array(places)),
            **dict.fromkeys(("exponent_write", "noise_write"), In(places)),
            "data": In(32),
        }
        members |= dict.fromkeys(("above", "loop", "target"), In(signed(SUM_WIDTH)))
        for k in range(places):
            for name in ("above", "loop"):
                members[f"{name}_exponent{k}"] = In(signed(PART_WIDTH))
        return members

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.scheduler, m.submodules.unit = self.scheduler, self.unit
        m.submodules.memory, m.submodules.primes = self.memory, self.primes
        for k, registers in enumerate(self.registers):
            m.submodules[f"registers{k}"] = registers
        self._began = Signal.like(self.begin)
        m.d.sync += self._began.eq(self.scheduler.begin)
        self._zero, self._told = self._flags_of_row(m)
        self._schedule(m)
        self._contexts(m)
        self._words(m)
        self._primes(m)
        self._results(m)
        self._registers(m)
        return m

    def _schedule(self, m: Module) -> None:
        """Pass on what passes wait for, and what they do."""
        scheduler, unit = self.scheduler, self.unit
        told: tuple[str, ...] = ("step", "step_target", "step_freeze", "primed")
        told += ("hear_ready", "hear_start", "waiting", "sums_ready", "loop_sums_ready")
        m.d.comb += [
            *(getattr(scheduler, name).eq(getattr(self, name)) for name in told),
            scheduler.target_ready.eq(self.target_ready),
            scheduler.rates_ready.eq(self._rates_ready()),
            scheduler.settled.eq(unit.scale_valid),
            self.begin.eq(self._began),
            *(
                getattr(unit, name).eq(getattr(scheduler, name))
                for name in ("valid", "place", "row", "neuron", "last", "context")
            ),
        ]

    def _rates_ready(self) -> Value | int:
        """Whether what follows from the top's rates is there, and no new rates come."""
        if self.top is None or not isinstance(self.rates, Softmax):
            return 1
        return self.rates.ready & ~self.rate_valid

    def _contexts(self, m: Module) -> None:
        """Load what a pass is worked on with until it begins; it stands from the next clock on.

        Most of it is chosen a clock before.
        """
        scheduler, registers = self.scheduler, self.registers
        places = range(len(self.engine.passes))
        top = (scheduler.ahead & Cat(piece.top for piece in self.engine.passes)).any()

        def ahead(words: Iterable[Value]) -> Value:
            return selected(scheduler.ahead, words)

        new = {
            "blank": scheduler.start | scheduler.held,
            "zero": self._never,
            "learn": ~scheduler.freeze,
            "has_above": ~top | scheduler.has_target,
            "is_target": top,
            "is_error": self.is_error,
            "exponent": ahead(each.exponent for each in registers),
            "exponent_before": ahead(each.before for each in registers),
            "quiet": ahead(each.quiet for each in registers),
            "noise": ahead(each.next_noise for each in registers),
            "rate": ahead(self.rate),
        }
        if self.engine.learns_time_constants:
            new["tau_rate"] = ahead(self.tau_rate)
        for name, value in new.items():
            port = getattr(self.unit, name)[0]
            new[name] = Signal.like(port, name=f"next_{name}", reset_less=True)
            m.d.sync += new[name].eq(value)
        for name in ("above_exponent", "loop_exponent"):  # may come with the pass that needs them
            words = [getattr(self, f"{name}{k}") for k in places]
            new[name] = selected(scheduler.here, words)
        for context in range(min(CONTEXTS, len(self.engine.passes))):
            for name, value in new.items():
                port = getattr(self.unit, name)[context]
                kept = Signal.like(port, name=f"{name}{context}", reset_less=True)
                with m.If(scheduler.open[context]):
                    m.d.sync += kept.eq(value)
                m.d.comb += port.eq(kept)

    def _words(self, m: Module) -> None:
        """Ask for each row's words in time."""
        scheduler, front, words = self.scheduler, self.engine.front, self.engine.error_words
        take = Delay(m, scheduler.valid, "take", reset_less=False)
        last, here = Delay(m, scheduler.last, "last"), Delay(m, scheduler.here, "here")
        row_last = Mux(scheduler.valid & scheduler.last, scheduler.here, 0)
        took = Delay(m, row_last, "took", reset_less=False)
        row = Delay(m, scheduler.row, "row")
        m.d.comb += [
            self.take.eq(take[front]),
            self.last.eq(last[front]),
            self.here.eq(here[front]),
            self.take_target.eq(self._told[front]),
            self.took.eq(took[front]),
        ]
        m.d.comb += [self.unit.above.eq(self.above), self.unit.loop.eq(self.loop)]
        if self.top is not None:
            m.submodules.rates = rates = self.rates
            m.d.comb += [
                self.unit.target.eq(self.target),
                rates.w_valid.eq(self.rate_valid),
                rates.w_index.eq(self.top_row),
                rates.w_data.eq(self.top_rate),
                rates.index.eq(row[front]),
                self.unit.r.eq(Mux(self._zero[words], self.nothing, rates.o)),
            ]

    def _flags_of_row(self, m: Module) -> tuple[Delay, Delay]:
        """Whether a row's pass is its layer's first since reset; whether it has a target."""
        scheduler, flags = self.scheduler, Signal(2, name="pass_flags")
        self._never = (scheduler.ahead & self.zero & ~self._began).any()
        with m.If(scheduler.opening):
            m.d.sync += flags.eq(Cat(self._never, scheduler.has_target))
        return Delay(m, flags[0], "zero"), Delay(m, scheduler.valid & flags[1], "told")

    def _primes(self, m: Module) -> None:
        primes = self.primes
        m.d.comb += [
            primes.w_valid.eq(self.prime_valid),
            primes.w_index.eq(self.prime_neuron),
            primes.w_data.eq(self.prime),
            primes.index.eq(self.unit.prime_neuron),
            self.unit.prime.eq(primes.o),
        ]

    def _results(self, m: Module) -> None:
        """Keep errors for the synapses, and signals for the neurons too."""
        unit, memory = self.unit, self.memory
        context = Delay(m, self.scheduler.context, "context")[self.engine.error_stages]
        m.d.comb += [
            self.o_exponent.eq(Mux(context, unit.exponent[1], unit.exponent[0])),
            memory.w_valid.eq(unit.o_valid),
            memory.w_last.eq(unit.o_last),
            memory.w_e.eq(unit.e),
            memory.w_signal.eq(unit.signal),
            memory.group.eq(self.group),
            memory.row_group.eq(self.row_group),
            memory.row_lane.eq(self.row_lane),
            self.errors.eq(memory.written),
            self.e.eq(memory.e),
            self.signal.eq(memory.signal),
            self.row_signal.eq(memory.row_signal),
        ]

    def _registers(self, m: Module) -> None:
        """Exponents and draws of each layer; the flag of those that a reset has zeroed."""
        unit = self.unit
        for k, registers in enumerate(self.registers):
            zero = self.zero[k]
            before = Mux(zero, registers.exponent, registers.before)
            word = Cat(registers.exponent, registers.quiet)
            high = before.as_unsigned()
            m.d.comb += [
                registers.begin.eq(self.scheduler.begin[k]),
                registers.scale_write.eq(unit.scale_valid & (unit.scale_place == k)),
                registers.scale_exponent.eq(unit.scale_exponent),
                registers.scale_quiet.eq(unit.scale_quiet),
                registers.exponent_write.eq(self.exponent_write[k]),
                registers.noise_write.eq(self.noise_write[k]),
                registers.data.eq(self.data),
                self.noise[k].eq(registers.noise),
                self.before[k].eq(registers.before),
                self.exponent_word[k].eq(word | high << 16),
                self.noise_word[k].eq(registers.next_noise),
            ]
            with m.If(self._began[k]):
                m.d.sync += zero.eq(0)
            with m.If(self.zero_write[k]):
                m.d.sync += zero.eq(self.zero_data[k])
