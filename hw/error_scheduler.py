"""Which neuron's error an engine works on in each clock, and when an error pass may begin."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.hw.numeric import choose, constant

CONTEXTS = 2  # error passes under way, each with its exponents, draws and rates


class ErrorScheduler(wiring.Component):
    """Error passes in turn, one neuron per clock; it waits at the beginning of groups only.

    A group begins when the derivatives of its rows of the step before are there, or come in time.
    A pass begins when moreover the input frame of its step has come, the frame that its layer will
    hear is under way, so that it is known whether a sequence starts, the sums from above and its
    own of the step before are there, the target where the step has one, and the exponent.

    Parameters
    ----------
    engine
        Passes in the order of work.
    pending_limit
        Steps that the input may be ahead of this engine.

    Members
    -------
    step, step_target, step_freeze
        An input frame was accepted; a target belongs to it; its step updates nothing.
    primed
        Derivatives of one more group are there.
    hear_ready, hear_start, waiting, sums_ready, loop_sums_ready
        Per place: whether the frame of the step is under way and begins a sequence; whether the
        layer waits for one; whether the sums are there.
    target_ready, rates_ready
        A target frame is there; rates of the top are, as the target is to be compared with them.
    settled
        The exponent that a pass leaves to the next step is in its register.
    begin, start, held, has_target, freeze
        Per place: a pass begins; of that pass.
    context
        Of the row, or of the pass that begins.
    valid, place, row, neuron, last
        The row issued.
    """

    def __init__(self, engine: Engine, pending_limit: int):
        self.engine, self.pending_limit = engine, pending_limit
        places = len(engine.passes)
        per_place = ("hear_ready", "hear_start", "waiting", "sums_ready", "loop_sums_ready")
        super().__init__(
            {
                **dict.fromkeys(("step", "step_target", "step_freeze"), In(1)),
                **dict.fromkeys(("primed", "target_ready", "rates_ready", "settled"), In(1)),
                **dict.fromkeys(per_place, In(places)),
                "begin": Out(places),
                **dict.fromkeys(("start", "held", "has_target", "freeze"), Out(1)),
                "context": Out(1),
                "valid": Out(1),
                "place": Out(range(max(2, places))),
                "row": Out(range(max(2, *(spec.outputs for spec in engine.layers)))),
                "neuron": Out(range(max(2, engine.neurons))),
                "last": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine, lane = self.engine, Signal(range(max(2, self.engine.pe)))
        rows = [spec.outputs for spec in engine.layers]
        begins, first = Signal(), lane == 0
        primed, may_begin = self._primed(m, first), self._may_begin(m, begins)
        m.d.comb += [
            self.last.eq(self.row == choose(self.place, rows, lambda n: constant(n - 1))),
            self.valid.eq(~first | (primed & ((self.row != 0) | may_begin))),
            begins.eq(self.valid & (self.row == 0)),
            self.begin.eq(Mux(begins, 1 << self.place, 0)),
        ]
        with m.If(self.valid):
            final = len(engine.passes) - 1
            full = self.last | (lane == engine.pe - 1)
            m.d.sync += [
                lane.eq(Mux(full, 0, lane + 1)),
                self.row.eq(Mux(self.last, 0, self.row + 1)),
                self.neuron.eq(Mux(self.neuron == engine.neurons - 1, 0, self.neuron + 1)),
            ]
            with m.If(self.last):
                m.d.sync += self.place.eq(Mux(self.place == final, 0, self.place + 1))
        return m

    def _primed(self, m: Module, first: Value) -> Value:
        """Whether the next group has its derivatives; those of a reset are 0, for all groups."""
        count = self.engine.groups
        primed = Signal(range(count + 1), init=count)
        m.d.sync += primed.eq(primed + self.primed - (self.valid & first))
        return primed != 0

    def _may_begin(self, m: Module, begins: Value) -> Value:
        """Whether the pass at hand finds all that it needs."""
        at, places = self.place, len(self.engine.passes)
        m.submodules.steps = steps = SyncFIFO(width=2, depth=self.pending_limit)
        target, freeze = steps.r_data[0], steps.r_data[1]
        m.d.comb += [
            steps.w_en.eq(self.step),
            steps.w_data[0].eq(self.step_target),
            steps.w_data[1].eq(self.step_freeze),
            steps.r_en.eq(begins & (at == places - 1)),
            self.start.eq(self.hear_start.bit_select(at, 1)),
            self.held.eq(self.waiting.bit_select(at, 1) & ~self.start),
            self.freeze.eq(freeze),
        ]
        top = choose(at, [piece.top for piece in self.engine.passes], constant) != 0
        m.d.comb += self.has_target.eq(top & target)
        ready = self.hear_ready & self.sums_ready & self.loop_sums_ready
        told = ~top | (self.rates_ready & (~target | self.target_ready))
        return steps.r_rdy & ready.bit_select(at, 1) & told & self._room(m, begins)

    def _room(self, m: Module, begins: Value) -> Value:
        """Whether the context is free, and the exponent of the layer's last pass is known."""
        most = min(CONTEXTS, len(self.engine.passes))
        flying = Signal(range(most + 1))
        m.d.sync += flying.eq(flying + begins - self.settled)
        if most == CONTEXTS:
            kept = Signal()
            m.d.comb += self.context.eq(kept ^ begins)
            m.d.sync += kept.eq(self.context)
        return flying != most
