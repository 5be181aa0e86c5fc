"""Time constants that learn: their logarithms, what follows from them, and their updates."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.windows import LOG_KINDS, SENSE_KINDS
from vle.compiler.learning.noise import ROW, WIDTH
from vle.compiler.learning.time_constants import (
    CONSTANT_WIDTH,
    LOG_WIDTH,
    RATIO_SHIFT,
    UNIT_SHIFT,
)
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.hw.bus import APART, AccessSignature
from vle.hw.exp2 import Exp2
from vle.hw.learning_signal import counted, round_stochastically, signal_draw
from vle.hw.noise import draw
from vle.hw.numeric import Delay, choose, multiply
from vle.hw.sensitivity import Sensitivity

UPDATE = 4  # from the potentials to the new logarithm
TASK_READ = 2


class TimeConstants(wiring.Component):
    """`alpha`, `rho` and, behind them, `log = clamp(sr(log + signal * factor), 0, high)`.

    Factors are `d` and `ahead = rnd(rho * d)`; by filtered inputs, sensitivities of the step
    before. Logarithms are written `UPDATE` clocks after the potentials.

    Parameters
    ----------
    engine
        Layers and initial logarithms.

    Members
    -------
    valid, neuron, place, first, noise, start, held, zero
        A neuron; whether it is its layer's first; state of the draws; flags: stage 0.
    alpha, rho
        Stage `engine.front + 4`.
    d, ahead
        Stages `engine.front + 4` and `engine.prosp_stage`.
    task_valid, task_neuron, signal_m, signal_r
        Learning signals of the pass to come, kept by neuron.
    log_neuron, log_m, log_r
        A neuron, and its logarithms 2 clocks later.
    access_<kind>
        From the bus: logarithms and sensitivities.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.filtered = [learning.filtered for learning in engine.learning]
        neuron, signal = range(max(2, engine.neurons)), signed(SIGNAL_WIDTH)
        self.ahead_width = engine.u_width + 1 + CONSTANT_WIDTH - RATIO_SHIFT
        bits = max(1, (engine.neurons - 1).bit_length())
        members = {
            "neuron": In(neuron),
            "place": In(range(max(2, len(engine.passes)))),
            "noise": In(32),
            "alpha": Out(CONSTANT_WIDTH),
            "rho": Out(CONSTANT_WIDTH),
            "d": In(signed(engine.u_width + 1)),
            "ahead": In(signed(self.ahead_width)),
            "task_valid": In(1),
            "task_neuron": In(neuron),
            "signal_m": In(signal),
            "signal_r": In(signal),
            "log_neuron": In(neuron),
            "log_m": Out(LOG_WIDTH),
            "log_r": Out(LOG_WIDTH),
        }
        members |= {name: In(1) for name in ("valid", "first", "start", "held", "zero")}
        kinds = (*LOG_KINDS, *(SENSE_KINDS if any(self.filtered) else ()))
        members |= {f"access_{kind}": In(AccessSignature(bits)) for kind in kinds}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        engine, ready = self.engine, self.engine.prosp_stage
        neuron, place = Delay(m, self.neuron, "neuron"), Delay(m, self.place, "place")
        valid = Delay(m, self.valid, "valid")
        words, written = {}, {}
        for kind in LOG_KINDS:
            written[kind] = Signal(LOG_WIDTH, name=f"{kind}_new")
            words[kind] = self._logs(m, kind, neuron, (valid[ready + UPDATE], written[kind]))
        units: dict[str, tuple[Value, Value, int]]
        units = {"alpha": (C(0), words["log_m"][0], UNIT_SHIFT)}
        units["rho"] = (words["log_r"][0], words["log_m"][0], RATIO_SHIFT)
        for name, (plus, minus, shift) in units.items():
            m.submodules[name] = unit = Exp2(shift)
            m.d.comb += [unit.plus.eq(plus), unit.minus.eq(minus)]
            m.d.comb += getattr(self, name).eq(unit.o)

        factors = self._factors(m, neuron, place, valid)
        signals, noise = self._tasks(m, neuron[ready - TASK_READ]), self._draws(m)
        shifts = [piece.points.tau_shift for piece in engine.passes]
        highs = [learning.log_high for learning in engine.learning]
        at = (place[ready + 2], place[ready + 3])
        for kind in LOG_KINDS:
            step = multiply(m, signals[kind], factors[kind])
            log = words[kind][1]
            exact = Signal(signed(LOG_WIDTH + max(shifts) + len(step) + 2), name=f"{kind}_exact")
            m.d.sync += exact.eq(choose(at[0], shifts, log.shift_left) + step)
            odd = Cat(C(1, 1), noise[kind][ready + 3])
            rounded = choose(
                at[1], shifts, lambda s, e=exact, odd=odd: round_stochastically(e, odd, s)
            )
            new = Signal(signed(len(rounded)), name=f"{kind}_rounded")
            m.d.comb += new.eq(rounded)
            high = choose(at[1], highs, lambda h: C(h, LOG_WIDTH))
            m.d.sync += written[kind].eq(Mux(new < 0, 0, Mux(new > high, high, new)))
        return m

    def _logs(
        self, m: Module, kind: str, neuron: Delay, new: tuple[Value, Value]
    ) -> tuple[Value, Value]:
        """Logarithms at stage 2, for the constants, and again in time for their update."""
        engine, access = self.engine, getattr(self, f"access_{kind}")
        late = engine.prosp_stage
        words = [int(word) for learning in engine.learning for word in getattr(learning, kind)]
        memory = Memory(shape=LOG_WIDTH, depth=engine.neurons, init=words, attrs=APART)
        m.submodules[kind] = memory
        write = memory.write_port()
        m.d.comb += [
            write.addr.eq(Mux(access.active, access.address, neuron[late + UPDATE])),
            write.data.eq(Mux(access.active, access.w_data, new[1])),
            write.en.eq(Mux(access.active, access.write, new[0])),
        ]
        early = Mux(access.active, access.address, neuron[0])
        read = []
        for address in (early, neuron[late], self.log_neuron):
            port, word = memory.read_port(), Signal(LOG_WIDTH, name=kind)
            m.d.comb += port.addr.eq(address)
            m.d.sync += word.eq(port.data)
            read.append(word)
        m.d.comb += [access.r_data.eq(read[0]), getattr(self, kind).eq(read[2])]
        return read[0], read[1]

    def _tasks(self, m: Module, neuron: Value) -> dict[str, Value]:
        """Learning signals of the neuron, kept since its error was known; 2 clocks."""
        both = Cat(self.signal_m, self.signal_r)
        if all(self.filtered):
            both = self.signal_m
        memory = Memory(shape=len(both), depth=self.engine.neurons, init=[], attrs=APART)
        m.submodules.tasks = memory
        read, write, word = memory.read_port(), memory.write_port(), Signal(len(both))
        m.d.sync += word.eq(read.data)
        m.d.comb += [
            read.addr.eq(neuron),
            write.addr.eq(self.task_neuron),
            write.data.eq(both),
            write.en.eq(self.task_valid),
        ]
        return {
            "log_m": word[:SIGNAL_WIDTH].as_signed(),
            "log_r": word[-SIGNAL_WIDTH:].as_signed(),
        }

    def _factors(self, m: Module, neuron: Delay, place: Delay, valid: Delay) -> dict[str, Value]:
        """Return what the signals are multiplied with, when the potentials are known."""
        front, ready = self.engine.front, self.engine.prosp_stage
        prospective = (Delay(m, self.d, "d", first=front + 4)[ready], self.ahead)
        if not any(self.filtered):
            return dict(zip(LOG_KINDS, prospective, strict=True))
        m.submodules.sensitivity = unit = Sensitivity(self.engine, self.ahead_width)
        early = front + 2
        for name in ("start", "held", "zero"):
            flag = Delay(m, getattr(self, name), name)
            m.d.comb += getattr(unit, name).eq(flag[early])
        for kind in SENSE_KINDS:
            port = getattr(self, f"access_{kind}")
            wiring.connect(m, wiring.flipped(port), getattr(unit, f"access_{kind}"))
        m.d.comb += [
            unit.valid.eq(valid[early]),
            unit.neuron.eq(neuron[early]),
            unit.alpha.eq(self.alpha),
            unit.rho.eq(self.rho),
            unit.d.eq(self.d),
            unit.ahead.eq(self.ahead),
        ]
        answers = {}
        for kind, other, bar in zip(LOG_KINDS, prospective, (unit.bar_m, unit.bar_r), strict=True):
            chosen = choose(
                place[ready], self.filtered, lambda on, bar=bar, other=other: bar if on else other
            )
            answers[kind] = chosen
        return answers

    def _draws(self, m: Module) -> dict[str, Delay]:
        """Sum and difference of a row's draws, from stage 2 on."""
        row = draw(m, counted(m, self.noise, self.valid, self.first, ROW), 0, "row")
        mine = signal_draw(m, self.noise, self.valid, self.first)
        found = {}
        for kind, word in zip(LOG_KINDS, (row + mine, row - mine), strict=True):
            noise = Signal(WIDTH, name=f"{kind}_noise")
            m.d.sync += noise.eq(word)
            found[kind] = Delay(m, noise, f"{kind}_noise", first=2)
        return found
