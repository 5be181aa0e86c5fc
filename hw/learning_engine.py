"""An engine whose layers learn: errors beside the frames, and three uses of each weight."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from vle.compiler.circuit.edges import Frames
from vle.compiler.circuit.geometry import Engine as Geometry
from vle.compiler.circuit.latency import sum_stage
from vle.compiler.circuit.registers import error_kinds
from vle.compiler.learning.step import Clamped
from vle.hw.counters import clamped_at_once
from vle.hw.engine import Engine
from vle.hw.error_path import ErrorPath
from vle.hw.learning_registers import STATE_WIDTH
from vle.hw.numeric import Delay
from vle.hw.rescale import EXPONENT_WIDTH
from vle.hw.trace_unit import TraceUnit

SYNAPSES = (
    *("sums", "down_valid", "loop_valid"),
    *("written", "written_address", "written_words"),
)
TRACES = ("access_trace_low", "access_trace_bar")
CONSTANTS = ("constant_neuron", "alpha_write", "rho_write", "alpha_word", "rho_word")


class LearningEngine(Engine):
    """Frames of its layers in, rates out, sums of errors in and out.

    Parameters
    ----------
    engine, heard, pending_limit
        As in `Engine`.
    loss
        Of the network.

    Members
    -------
    sums_taken, sums_begin, loop_sums_begin
        Per place: whether the layer below has taken the sums of the step before; the first tile of
        the sums for the layer below, of those for itself, is at `sums`.
    sums, down_valid, loop_valid, sum_exponent
        A tile of sums, for whom, and the exponent of its pass.
    written, written_address, written_words
        As in `SynapseArray`.
    clamped
        Per place and kind, words clamped in the clock before.
    access_<kind>
        From the bus.

    What errors need is at `errors`, an `ErrorPath`; the others are those of `Engine`.
    """

    def __init__(self, engine: Geometry, heard: Sequence[Frames], pending_limit: int, loss: str):
        self.errors = ErrorPath(engine, pending_limit, loss)
        self.traces = TraceUnit(engine) if engine.trace_groups else None
        super().__init__(engine, heard, pending_limit)

    def _more_members(self) -> dict[str, Member]:
        places = len(self.engine.passes)
        members = {
            "sums_taken": In(places),
            "sums_begin": Out(places),
            "loop_sums_begin": Out(places),
            "begin_last": Out(places),
            "sum_exponent": Out(signed(EXPONENT_WIDTH)),
            "clamped": Out(range(clamped_at_once(self.engine) + 1)).array(
                places, len(Clamped._fields)
            ),
            "access_prime": self.errors.primes.signature.members["access"],
        }
        members |= {name: self.synapses.signature.members[name] for name in SYNAPSES}
        for kind in error_kinds(self.engine):
            members[f"access_{kind}"] = self.errors.unit.signature.members[f"access_{kind}"]
        if self.errors.top is not None:
            members["access_top_rate"] = self.errors.rates.signature.members["access"]
        if self.traces is not None:
            for name in TRACES:
                members[name] = self.traces.signature.members[name]
        return members

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        m.submodules.errors = self.errors
        self._learn_synapses(m)
        self._filter(m)
        self._send_sums(m)
        self._learn_neurons(m)
        self._wait(m)
        self._count(m)
        self._reach(m)
        return m

    def _learn_synapses(self, m: Module) -> None:
        """Errors and draws of the pass at hand beside its operands."""
        scheduler, synapses, errors = self.scheduler, self.synapses, self.errors
        noise = Signal(STATE_WIDTH, name="pass_noise", reset_less=True)
        with m.If(scheduler.opening):
            m.d.sync += noise.eq(Array(errors.noise)[scheduler.place])
        m.d.comb += [
            synapses.noise.eq(noise),
            errors.group.eq(scheduler.group),
            synapses.e.eq(errors.e),
            synapses.signal.eq(errors.signal),
            *(
                getattr(synapses, name).eq(getattr(scheduler, name))
                for name in ("place", "first_group", "last_group")
            ),
        ]
        for name in SYNAPSES:
            m.d.comb += getattr(self, name).eq(getattr(synapses, name))

    def _filter(self, m: Module) -> None:
        """Connect the filtered inputs, where a layer hears them."""
        scheduler, synapses, neurons = self.scheduler, self.synapses, self.neurons
        if self.traces is None:
            m.d.comb += scheduler.traces_ready.eq(~0)
            return
        m.submodules.traces = traces = self.traces
        m.d.comb += [
            *(
                getattr(traces, name).eq(getattr(scheduler, name))
                for name in ("valid", "place", "first", "first_group")
            ),
            traces.start.eq(scheduler.flags[0]),
            traces.zero.eq(scheduler.flags[3]),
            traces.operand.eq(self.operand.o),
            synapses.heard.eq(traces.heard),
            scheduler.traces_ready.eq(traces.ready),
            traces.done_valid.eq(neurons.o_last),
            traces.done_place.eq(neurons.o_place),
            *(getattr(traces, name).eq(getattr(neurons, name)) for name in CONSTANTS),
        ]
        for name in TRACES:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(traces, name))

    def _send_sums(self, m: Module) -> None:
        """Tell where sums begin, and in which units they are."""
        scheduler, stage = self.scheduler, sum_stage(self.engine.pe)
        exponent = Signal(signed(EXPONENT_WIDTH), name="pass_exponent", reset_less=True)
        with m.If(scheduler.opening):
            m.d.sync += exponent.eq(Array(self.errors.before)[scheduler.place])
        loops = [
            scheduler.valid
            & scheduler.last_group
            & (scheduler.place == k)
            & (scheduler.tile == piece.spec.inputs // piece.simd)
            & piece.loops
            for k, piece in enumerate(self.engine.passes)
        ]
        m.d.comb += [
            self.begin_last.eq(scheduler.begin_last),
            self.sum_exponent.eq(Delay(m, exponent, "sum_exponent", first=1)[stage]),
            self.sums_begin.eq(
                Delay(m, scheduler.begin_last, "sums_begin", reset_less=False)[stage]
            ),
            self.loop_sums_begin.eq(
                Delay(m, Cat(loops), "loop_sums_begin", reset_less=False)[stage]
            ),
        ]

    def _learn_neurons(self, m: Module) -> None:
        """Signals and draws of each row beside its sum; its derivative goes to the errors."""
        queue, neurons, errors = self.queue, self.neurons, self.errors
        noise, kept = Signal(STATE_WIDTH, name="row_noise"), Signal(STATE_WIDTH)
        first = queue.o_valid & (queue.row == 0)
        m.d.sync += kept.eq(noise)
        m.d.comb += [
            noise.eq(Mux(first, Array(errors.noise)[queue.place], kept)),
            neurons.noise.eq(noise),
            errors.row_group.eq(queue.group),
            errors.row_lane.eq(queue.lane),
            neurons.signal.eq(errors.row_signal),
            errors.prime_valid.eq(neurons.prime_valid),
            errors.prime_neuron.eq(neurons.prime_neuron),
            errors.prime.eq(neurons.prime),
            errors.primed.eq(Delay(m, queue.taken, "primed")[self.engine.primed_stage + 1]),
        ]
        if errors.top is not None:
            m.d.comb += [
                errors.rate_valid.eq(neurons.o_at[errors.top]),
                errors.top_row.eq(neurons.o_row),
                errors.top_rate.eq(neurons.o),
            ]
        if self.engine.learns_time_constants:
            self._learn_time_constants(m)

    def _learn_time_constants(self, m: Module) -> None:
        neurons, unit = self.neurons, self.errors.unit
        m.d.comb += [
            neurons.task_valid.eq(unit.o_valid),
            neurons.task_neuron.eq(unit.o_neuron),
            neurons.signal_m.eq(unit.signal_m),
            neurons.signal_r.eq(unit.signal_r),
            neurons.log_neuron.eq(unit.neuron),
            unit.log_m.eq(neurons.log_m),
            unit.log_r.eq(neurons.log_r),
        ]

    def _wait(self, m: Module) -> None:
        """Let passes wait for errors, and errors for passes."""
        m.d.comb += [
            self.scheduler.errors.eq(self.errors.errors),
            self.scheduler.sums_taken.eq(self.sums_taken),
            self.errors.waiting.eq(
                self.scheduler.waiting | Mux(self.hold, self.scheduler.above, 0)
            ),
            self.errors.step.eq(self.step),
        ]

    def _count(self, m: Module) -> None:
        """Tell a clock late what was clamped, in the order of `Clamped`."""
        unit, synapses, neurons = self.errors.unit, self.synapses, self.neurons
        clamped = [
            (unit.clamped_error, unit.o_place),
            (unit.clamped_signal, unit.o_place),
            (synapses.clamped, synapses.clamped_place),
            (neurons.clamped_bias, neurons.clamped_bias_place),
        ]
        if self.traces is not None:
            clamped.append((self.traces.clamped, self.traces.clamped_place))
        for kind, (count, place) in enumerate(clamped):
            late = Signal.like(count, name="clamped")
            here = Signal(len(self.clamped), name="at", reset_less=True)
            m.d.sync += [late.eq(count), here.eq(1 << place)]
            for k, counts in enumerate(self.clamped):
                m.d.comb += counts[kind].eq(Mux(here[k], late, 0))

    def _reach(self, m: Module) -> None:
        """Connect the memories to the bus."""
        for kind in error_kinds(self.engine):
            name = f"access_{kind}"
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.errors.unit, name))
        wiring.connect(m, wiring.flipped(self.access_prime), self.errors.primes.access)
        if self.errors.top is not None:
            wiring.connect(m, wiring.flipped(self.access_top_rate), self.errors.rates.access)
