"""Which neuron's error an engine works on in each clock, and when an error pass may begin."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.hw.numeric import choose, constant
from vle.hw.step_queue import StepQueue
from vle.hw.tokens import tokens_ahead

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
        Per place: whether the frame of the step is under way from the next clock on, and begins a
        sequence; whether the layer waits for one; whether the sums are there from then on.
    target_ready, rates_ready
        A target frame is there; rates of the top are, as the target is to be compared with them.
    settled
        The exponent that a pass leaves to the next step is in its register.
    begin, here
        Per place: a pass begins; the row issued, or the next one, is the layer's.
    ahead, start, held, has_target, freeze
        Of the pass that begins next: its place, a bit each; they stand a clock before it begins.
    opening
        The row of the next clock, should there be one, begins a pass.
    context
        Of the row, or of the pass that begins.
    open
        Per context: the next pass will have it, and no other has it any more.
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
                **dict.fromkeys(("here", "ahead"), Out(places, init=1)),
                "opening": Out(1),
                **dict.fromkeys(("start", "held", "has_target", "freeze"), Out(1)),
                "context": Out(1),
                "open": Out(CONTEXTS),
                "valid": Out(1),
                "place": Out(range(max(2, places))),
                "row": Out(range(max(2, *(spec.outputs for spec in engine.layers)))),
                "neuron": Out(range(max(2, engine.neurons))),
                "last": Out(1, init=engine.layers[0].outputs == 1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        first, head, may = Signal(init=1), Signal(init=1), Signal()  # of a group, a pass
        begins = may & head
        found, there = self._found(m, begins), self._primed(m, first)
        with m.If(begins):
            m.d.sync += self.ahead.eq(self.ahead.rotate_left(1))
        m.d.comb += [
            self.valid.eq(~first | may),
            self.begin.eq(Mux(begins, self.here, 0)),
            self.opening.eq(Mux(self.valid, self.last, head)),
        ]
        m.d.sync += [head.eq(self.opening), may.eq(there & (~self.opening | found))]
        with m.If(self.valid):
            self._walk(m, first)
            with m.If(self.last):
                m.d.sync += self.here.eq(self.here.rotate_left(1))
        return m

    def _walk(self, m: Module, first: Signal) -> None:
        """To the next row; what it is by its numbers is known when it comes."""
        engine, lane = self.engine, Signal(range(max(2, self.engine.pe)))
        rows = [spec.outputs for spec in engine.layers]
        following = [rows[(k + 1) % len(rows)] for k in range(len(rows))]
        alone = choose(self.place, [count == 1 for count in following], constant) != 0
        before_last = self.row == choose(self.place, [n - 2 for n in rows], constant)
        full = self.last | (lane == engine.pe - 1)
        m.d.sync += [
            first.eq(full),
            lane.eq(Mux(full, 0, lane + 1)),
            self.row.eq(Mux(self.last, 0, self.row + 1)),
            self.last.eq(Mux(self.last, alone, before_last)),
            self.neuron.eq(Mux(self.neuron == engine.neurons - 1, 0, self.neuron + 1)),
        ]
        with m.If(self.last):
            final = len(rows) - 1
            m.d.sync += self.place.eq(Mux(self.place == final, 0, self.place + 1))

    def _primed(self, m: Module, first: Value) -> Value:
        """Whether the next group will have its derivatives; those of a reset are 0, for all."""
        count = self.engine.groups
        return tokens_ahead(m, self.primed, self.valid & first, count, count)[2]

    def _found(self, m: Module, begins: Value) -> Value:
        """Whether the pass that begins next finds all that it needs: then it may in a clock.

        What a pass takes is gone when the next one of its layer can begin; the one behind it is
        looked at from the clock after it began.
        """
        at = self.ahead
        m.submodules.steps = steps = StepQueue(2, self.pending_limit)
        target, freeze = steps.first
        m.d.comb += [
            steps.put.eq(self.step),
            steps.word.eq(Cat(self.step_target, self.step_freeze)),
            steps.take.eq(begins & at[-1]),
            self.start.eq((self.hear_start & at).any()),
            self.held.eq((self.waiting & at).any() & ~self.start),
            self.freeze.eq(freeze),
        ]
        top = Cat(piece.top for piece in self.engine.passes)
        m.d.comb += self.has_target.eq((top & at).any() & target)
        told = ~(top & at).any() | (self.rates_ready & (~target | self.target_ready))
        heard = Signal(len(at))
        m.d.sync += heard.eq(self.hear_ready)
        ready = heard & self.sums_ready & self.loop_sums_ready
        room = self._room(m, begins)
        return (ready & at).any() & steps.ready & told & room & ~begins

    def _room(self, m: Module, begins: Value) -> Value:
        """Whether the context is free, and the exponent of the layer's last pass is known."""
        most = min(CONTEXTS, len(self.engine.passes))
        flying, room = Signal(range(most + 1)), Signal(init=1)
        m.d.sync += [
            flying.eq(flying + begins - self.settled),
            room.eq(self.settled | (room & ~(begins & (flying == most - 1)))),
        ]
        kept = Signal()
        if most == CONTEXTS:
            m.d.comb += self.context.eq(kept ^ begins)
            m.d.sync += kept.eq(self.context)
        for context in range(most):
            other = kept == 1 - context if most == CONTEXTS else 1
            m.d.comb += self.open[context].eq(room & other)
        return room
