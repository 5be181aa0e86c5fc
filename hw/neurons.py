"""The neuron pipeline: leak, prospective readout, activation; one neuron per clock."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler import activation
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import CURRENT_STAGE
from vle.compiler.circuit.registers import neuron_kinds, tables
from vle.compiler.circuit.windows import LOG_KINDS, SENSE_KINDS
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.time_constants import RATIO_SHIFT
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.activation import PiecewiseLinear, Table
from vle.hw.bias import Bias
from vle.hw.bus import AccessSignature
from vle.hw.derivative import Derivative
from vle.hw.numeric import (
    Delay,
    below_point,
    choose,
    choose_late,
    either,
    multiply,
    multiply_add,
    round_shift,
    saturate_late,
    saturate_shifted,
)
from vle.hw.primitives import RegisteredMemory
from vle.hw.primitives.product import registered
from vle.hw.time_constants import TimeConstants

TASK = ("task_valid", "task_neuron", "signal_m", "signal_r")
LOGS = ("log_neuron", "log_m", "log_r")


class NeuronPipeline(wiring.Component):
    """One step of a neuron: its row sum in, its rate out `engine.rate_stage` clocks later.

    ::

        current = sat(round(acc * scale / 2**scale_shift) + bias)       stage 3
        d       = current - u                                           stage 4
        u'      = u + round(alpha * d / 2**alpha_shift)                 stage 7, written back
        prosp   = sat(u + round(rho * d / 2**rho_shift))                stage 7
        r       = activation(prosp)                                     stage 9, 11 or 12

    Adding `word * 2**shift + 2**(shift - 1)` before the shift adds the word and rounds in one go.
    Engines that learn have no scales; derivatives follow the rates, and biases are updated.

    Parameters
    ----------
    engine
        Layers, formats and initial parameters.

    Members
    -------
    advance
        One clock before each `valid`.
    valid, acc, neuron, place, row, last, flags
        From the group queue: stage 0. Flags: start, held, zero_u; where it learns also zero.
    o_valid, o, o_place, o_row, o_last, o_start, o_held, o_u, saturated
        Rate, where it belongs, and what was clamped on its way: current, prosp, rate.
    o_at, at_next, last_at
        Per place, as flags: a rate of the layer is out; will be in the next clock; per stage, its
        last row is there.
    noise, signal
        Where it learns: state of the draws, stage 0; learning signal, stage 2.
    prime_valid, prime_neuron, prime_place, prime
        Where it learns: derivative of a neuron, stage `engine.prime_stage`.
    clamped_bias, clamped_bias_place
        Where it learns: a bias was clamped.
    task_valid, task_neuron, signal_m, signal_r, log_neuron, log_m, log_r
        Where time constants learn, as in `TimeConstants`.
    constant_neuron, alpha_write, rho_write, alpha_word, rho_word
        Where inputs are filtered, as in `TraceUnit`.
    access_<kind>, access_value<k>, access_delta<k>
        From the bus: parameters and potentials by neuron; tables.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.neuron_bits = max(1, (engine.neurons - 1).bit_length())
        place, stages = range(max(2, len(engine.passes))), engine.rate_stage + 1
        row = range(max(2, *(spec.outputs for spec in engine.layers)))
        members = {
            "advance": In(1),
            "valid": In(1),
            "acc": In(signed(engine.acc_width)),
            "neuron": In(range(max(2, engine.neurons))),
            "place": In(place),
            "row": In(row),
            "last": In(1),
            "flags": In(engine.flag_count),
            "o_valid": Out(1),
            "o": Out(signed(engine.rate_width)),
            "o_place": Out(place),
            "o_row": Out(row),
            "o_last": Out(1),
            "o_start": Out(1),
            "o_held": Out(1),
            "o_u": Out(signed(engine.u_width)),
            "saturated": Out(3),
            "o_at": Out(len(engine.passes)),
            "at_next": Out(len(engine.passes)),
            "last_at": Out(len(engine.passes)).array(stages),
        }
        if engine.learns:
            members |= {
                "noise": In(32),
                "signal": In(signed(SIGNAL_WIDTH)),
                "prime_valid": Out(1),
                "prime_neuron": Out(range(max(2, engine.neurons))),
                "prime_place": Out(place),
                "prime": Out(signed(PRIME_WIDTH)),
                "clamped_bias": Out(1),
                "clamped_bias_place": Out(place),
            }
        if engine.learns_time_constants:
            self.time_constants = TimeConstants(engine)
            inner = self.time_constants.signature.members
            members |= {name: inner[name] for name in (*TASK, *LOGS)}
        if engine.trace_groups:
            width = engine.constant_width
            members["constant_neuron"] = Out(range(max(2, engine.neurons)))
            for kind in ("alpha", "rho"):
                members |= {f"{kind}_write": Out(1), f"{kind}_word": Out(width)}
        for kind in neuron_kinds(engine):
            members[f"access_{kind}"] = In(AccessSignature(self.neuron_bits))
        for k, table in enumerate(tables(engine)):
            members[f"access_value{k}"] = In(AccessSignature(table.index_width))
            members[f"access_delta{k}"] = In(AccessSignature(table.index_width))
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        engine, end = self.engine, self.engine.rate_stage
        front, prosp_stage = engine.front, engine.prosp_stage
        valid, place = Delay(m, self.valid, "valid"), Delay(m, self.place, "place")
        neuron = Delay(m, self.neuron, "neuron")
        start, held, zero_u = (Delay(m, flag, "flag") for flag in self.flags[:3])
        last, row = Delay(m, self.valid & self.last, "last"), Delay(m, self.row, "row")

        current, current_over = self._current(m, place, neuron)
        u = self._potential(m, neuron, valid, zero_u)
        if engine.learns_time_constants:
            alpha, rho = self._learned_constants(m)
        else:
            alpha = self._parameter(m, "alpha", neuron[2])
            rho = self._parameter(m, "rho", neuron[2])
        if engine.trace_groups:
            self._tell_constants(m, neuron, valid)
        d = Signal(signed(engine.u_width + 1), reset_less=True)
        m.d.sync += d.eq(current - u[front + CURRENT_STAGE])
        at = front + CURRENT_STAGE + 1
        total = self._moved(m, place, u, (d, alpha), "alpha_shift")
        moved = choose_late(m, place[at + 1], self._shifts("alpha_shift"), total.shift_right)
        if engine.learns_time_constants:
            far = multiply(m, d, rho, kind="alpha, rho")
            ahead = far + self._addend(m, place[at], u[at + 1], "rho_shift")
            m.d.comb += self.time_constants.d.eq(d)
            m.d.sync += self.time_constants.ahead.eq(round_shift(far, RATIO_SHIFT))
        else:
            ahead = self._moved(m, place, u, (d, rho), "rho_shift")
        prosp = Signal(signed(engine.u_width), reset_less=True)
        prosp_over = Signal(reset_less=True)
        m.d.sync += [
            self.u_new.eq(Mux(held[prosp_stage - 1], 0, moved)),
            Cat(prosp, prosp_over).eq(self._saturated(m, place[at + 1], ahead, "rho_shift")),
        ]
        rate, rate_over = self._activate(m, place, held, prosp)
        if engine.learns:
            stages = {"valid": valid, "place": place, "neuron": neuron, "held": held}
            self._differentiate(m, stages, prosp, rate)

        overs = Cat(
            Delay(m, current_over, "current_over", first=front + CURRENT_STAGE)[end],
            Delay(m, prosp_over, "prosp_over", first=prosp_stage)[end],
            rate_over,
        )
        m.d.comb += [
            self.o_valid.eq(valid[end]),
            self.o.eq(rate),
            self.o_place.eq(place[end]),
            self.o_row.eq(row[end]),
            self.o_last.eq(last[end]),
            self.o_start.eq(start[end]),
            self.o_held.eq(held[end]),
            self.o_u.eq(Delay(m, self.u_new, "u_new", first=prosp_stage)[end]),
            self.saturated.eq(Mux(held[end], 0, overs)),
            self.last_at[0].eq(Mux(last[0], 1 << place[0], 0)),
        ]
        m.d.comb += self.at_next.eq(Mux(valid[end - 1], 1 << place[end - 1], 0))
        m.d.sync += self.o_at.eq(self.at_next)
        for k in range(end):
            m.d.sync += self.last_at[k + 1].eq(Mux(last[k], 1 << place[k], 0))
        return m

    def _current(self, m: Module, place: Delay, neuron: Delay) -> tuple[Value, Value]:
        """`sat(round(acc * scale / 2**scale_shift) + bias)`, and whether it was clamped."""
        engine, front = self.engine, self.engine.front
        if engine.learns:
            return self._learned_current(m, place, self._learned_bias(m, place, neuron))
        scale, bias = self._read_ahead(m, "scale", "bias")
        aligned = choose(place[0], self._shifts("scale_shift"), lambda s: below_point(bias, s))
        addend = registered(m, aligned, 1)
        total = multiply_add(m, self.acc, scale, addend, kind="scale")
        current = Signal(signed(engine.u_width), reset_less=True)
        over = Signal(reset_less=True)
        m.d.sync += Cat(current, over).eq(
            self._saturated(m, place[front + 1], total, "scale_shift")
        )
        return current, over

    def _learned_current(self, m: Module, place: Delay, bias: Value) -> tuple[Value, Value]:
        """As `_current`: what all layers add has the same place; clamped behind the registers."""
        front, shifts = self.engine.front, self._shifts("scale_shift")
        most, acc = max(shifts), Delay(m, self.acc, "acc")[front + 1]
        moved = choose_late(m, place[front], shifts, lambda s: acc.shift_left(most - s))
        word = Signal.like(moved, name="acc_moved", reset_less=True)
        m.d.sync += word.eq(moved)
        later = Delay(m, bias, "bias", first=1)[2]
        addend = choose_late(
            m, place[front + 1], shifts, lambda s: below_point(later, s).shift_left(most - s)
        )
        exact = (word + addend).shift_right(most)
        widths = [spec.u_format.width for spec in self.engine.layers]
        both = saturate_late(m, place[front + 2], exact, widths)
        return both[:-1].as_signed(), both[-1]

    def _learned_constants(self, m: Module) -> tuple[Value, Value]:
        """Return `alpha` and `rho` at stage 4 of those behind, as their logarithms are now."""
        m.submodules.time_constants = unit = self.time_constants
        start, held, _, zero = self.flags
        for name, value in (("start", start), ("held", held), ("zero", zero)):
            m.d.comb += getattr(unit, name).eq(value)
        m.d.comb += unit.first.eq(self.row == 0)
        for name in ("valid", "neuron", "place", "noise", *TASK):
            m.d.comb += getattr(unit, name).eq(getattr(self, name))
        m.d.comb += [unit.log_neuron.eq(self.log_neuron)]
        m.d.comb += [self.log_m.eq(unit.log_m), self.log_r.eq(unit.log_r)]
        for kind in (*LOG_KINDS, *SENSE_KINDS):
            if f"access_{kind}" in unit.signature.members:
                port = getattr(self, f"access_{kind}")
                wiring.connect(m, wiring.flipped(port), getattr(unit, f"access_{kind}"))
        return unit.alpha, unit.rho

    def _tell_constants(self, m: Module, neuron: Delay, valid: Delay) -> None:
        """Show constants as they follow from logarithms, or as the bus writes them."""
        if self.engine.learns_time_constants:
            stage, unit = self.engine.front + CURRENT_STAGE + 1, self.time_constants
            m.d.comb += self.constant_neuron.eq(neuron[stage])
            pairs = [(valid[stage], unit.alpha), (valid[stage], unit.rho)]
        else:
            ports = (self.access_alpha, self.access_rho)
            pairs = [(port.write, port.w_data) for port in ports]
            m.d.comb += self.constant_neuron.eq(
                Mux(ports[0].active, *(port.address for port in ports))
            )
        for kind, (write, word) in zip(("alpha", "rho"), pairs, strict=True):
            m.d.comb += getattr(self, f"{kind}_write").eq(write)
            m.d.comb += getattr(self, f"{kind}_word").eq(word)

    def _learned_bias(self, m: Module, place: Delay, neuron: Delay) -> Value:
        """Return a neuron's bias at stage 1, which is updated behind it."""
        front = self.engine.front
        m.submodules.bias = bias = Bias(self.engine)
        first, noise = Delay(m, self.row == 0, "first"), Delay(m, self.noise, "noise")
        m.d.comb += [
            bias.valid.eq(Delay(m, self.valid, "valid")[front]),
            bias.neuron.eq(neuron[front]),
            bias.place.eq(place[front]),
            bias.first.eq(first[front]),
            bias.noise.eq(noise[front]),
            bias.signal.eq(Delay(m, self.signal, "signal")[front]),
            self.clamped_bias.eq(bias.clamped),
            self.clamped_bias_place.eq(bias.clamped_place),
        ]
        wiring.connect(m, wiring.flipped(self.access_bias), bias.access)
        return bias.bias

    def _moved(
        self, m: Module, place: Delay, u: Delay, factors: tuple[Value, Value], shift: str
    ) -> Value:
        """`u * 2**shift + product of the factors`, and half to round it; 2 clocks after them."""
        at = self.engine.front + CURRENT_STAGE + 1
        addend = self._addend(m, place[at - 1], u[at], shift)
        return multiply_add(m, *factors, addend, kind="alpha, rho")

    def _addend(self, m: Module, place: Value, word: Value, shift: str) -> Value:
        """Return what adds the word to a product a clock later; `place` is of a clock before."""
        aligned = choose_late(m, place, self._shifts(shift), lambda s: below_point(word, s))
        return registered(m, aligned, 1)

    def _shifts(self, name: str) -> list[int]:
        return [getattr(spec, name) for spec in self.engine.layers]

    def _saturated(self, m: Module, place: Value, total: Value, shift: str) -> Value:
        """Sum in units of the layer's potential and clamped to it, and whether it was."""
        widths = [spec.u_format.width for spec in self.engine.layers]
        return saturate_shifted(m, place, total, self._shifts(shift), widths)

    def _parameter(self, m: Module, kind: str, address: Value) -> Value:
        """Return a neuron's word 2 clocks after its address."""
        memory, access = self._memory(m, kind), getattr(self, f"access_{kind}")
        m.d.comb += memory.r_addr.eq(Mux(access.active, access.address, address))
        m.d.comb += access.r_data.eq(memory.r_data)
        return memory.r_data

    def _read_ahead(self, m: Module, *kinds: str) -> list[Value]:
        """Return words of the row at stage 0: neurons come in a known order."""
        ports = [getattr(self, f"access_{kind}") for kind in kinds]
        active = Cat(port.active for port in ports).any()
        ahead, primed = Signal.like(self.neuron), Signal()
        step = self.advance | ~primed
        with m.If(active):
            m.d.sync += [ahead.eq(0), primed.eq(0)]
        with m.Elif(step):
            m.d.sync += ahead.eq(Mux(ahead == self.engine.neurons - 1, 0, ahead + 1))
            m.d.sync += primed.eq(1)
        words = []
        for kind, port in zip(kinds, ports, strict=True):
            memory = self._memory(m, kind)
            m.d.comb += [
                memory.r_addr.eq(Mux(port.active, port.address, ahead)),
                memory.r_en.eq(step | active),
                port.r_data.eq(memory.r_data),
            ]
            words.append(memory.r_data)
        return words

    def _memory(self, m: Module, kind: str) -> RegisteredMemory:
        """Memory of a parameter, which the bus writes."""
        engine, access = self.engine, getattr(self, f"access_{kind}")
        shapes = {"scale": engine.scale_width, "bias": signed(engine.u_width)}
        shape = shapes.get(kind, engine.constant_width)
        memory = RegisteredMemory(shape, engine.neurons, engine.neuron_memory(kind))
        setattr(m.submodules, kind, memory)
        m.d.comb += [
            memory.w_addr.eq(access.address),
            memory.w_data.eq(access.w_data),
            memory.w_en.eq(access.write),
        ]
        return memory

    def _potential(self, m: Module, neuron: Delay, valid: Delay, zero_u: Delay) -> Delay:
        """`u` from the stage of the current on; its new value is written back at `prosp_stage`."""
        engine, access = self.engine, self.access_u
        m.submodules.u = memory = RegisteredMemory(signed(engine.u_width), engine.neurons)
        self.u_new = Signal(signed(engine.u_width), reset_less=True)
        m.d.comb += [
            memory.r_addr.eq(Mux(access.active, access.address, neuron[engine.front + 1])),
            access.r_data.eq(memory.r_data),
            memory.w_addr.eq(Mux(access.active, access.address, neuron[engine.prosp_stage])),
            memory.w_data.eq(Mux(access.active, access.w_data, self.u_new)),
            memory.w_en.eq(Mux(access.active, access.write, valid[engine.prosp_stage])),
        ]
        u = Signal(signed(engine.u_width), name="u")
        stage = engine.front + CURRENT_STAGE
        m.d.comb += u.eq(Mux(zero_u[stage], 0, memory.r_data))
        return Delay(m, u, "u", first=stage)

    def _activate(self, m: Module, place: Delay, held: Delay, prosp: Value) -> tuple[Value, Value]:
        """Rates of stage `rate_stage`, from the circuits that the layers need; 0 of the others."""
        engine, stage = self.engine, self.engine.prosp_stage
        kinds: list[type] = [type(layer.activation) for layer in engine.layers]
        answers: dict[type, Any] = {}
        if activation.PiecewiseLinear in kinds:
            m.submodules.piecewise = answers[activation.PiecewiseLinear] = PiecewiseLinear(engine)
        if activation.Table in kinds:
            m.submodules.table = answers[activation.Table] = table = Table(engine)
            self._connect_tables(m, table)
        self._units = dict(answers)
        for kind, unit in answers.items():
            other = choose(place[stage], [each is not kind for each in kinds], lambda on: C(on, 1))
            mute = Delay(m, other | held[stage], "mute")[unit.stages - 1]
            m.d.comb += [unit.place.eq(place[stage - 1]), unit.prosp.eq(prosp), unit.mute.eq(mute)]
            both = Delay(m, Cat(unit.r, unit.saturated), "rate", first=unit.stages)
            answers[kind] = both[engine.activation_stages]
        answer = either(list(answers.values()))
        return answer[:-1].as_signed(), answer[-1]

    def _differentiate(self, m: Module, row: dict[str, Delay], prosp: Value, rate: Value) -> None:
        """Derive the activation, with what the activation circuits tell of the slope."""
        engine, end = self.engine, self.engine.prime_stage
        m.submodules.derivative = unit = Derivative(engine)
        if activation.Table in self._units:
            m.d.comb += unit.delta.eq(self._units[activation.Table].slope)
        if activation.PiecewiseLinear in self._units:
            piecewise = self._units[activation.PiecewiseLinear]
            flat = Delay(m, piecewise.flat, "flat", first=piecewise.stages)
            m.d.comb += unit.flat.eq(flat[engine.activation_stages])
        m.d.comb += [
            unit.place.eq(row["place"][engine.prosp_stage]),
            unit.prosp.eq(prosp),
            unit.r.eq(rate),
            self.prime_valid.eq(row["valid"][end]),
            self.prime_neuron.eq(row["neuron"][end]),
            self.prime_place.eq(row["place"][end]),
            self.prime.eq(Mux(row["held"][end], 0, unit.prime)),
        ]

    def _connect_tables(self, m: Module, unit: Table) -> None:
        for k in range(len(unit.tables)):
            for what in ("value", "delta"):
                name = f"access_{what}{k}"
                wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(unit, name))
