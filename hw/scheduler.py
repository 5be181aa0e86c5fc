"""What an engine works on in each clock, and when a pass may begin."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from vle.compiler.circuit.geometry import Engine, Pass
from vle.hw.numeric import choose, constant
from vle.hw.operand import Source
from vle.hw.tokens import tokens, tokens_ahead

LEARNED_LATE = 24  # clocks after a pass's last rate by which all that it learned is written


class Scheduler(wiring.Component):
    """Passes in turn, tile by tile; it waits at the beginning of groups and nowhere else.

    A group begins when the group queue has room. A pass begins when moreover the input frame of
    its step has come, the frames it hears are there, and its own frame has a place to go. All that
    is looked at a clock before: what a pass takes is gone when the next one of its layer can begin,
    and what ends a wait does so 2 clocks after it was told. Where layers learn, a group waits for
    the errors of its rows, and a pass's last group until the layer below has taken its sums of the
    step before.

    Parameters
    ----------
    engine
        Passes in the order of work.
    pending_limit
        Steps that the input may be ahead of this engine.

    Members
    -------
    step
        An input frame was accepted.
    hold
        A clock later: it began a sequence, as the first after a reset: layers above the first, a
        bit for each of their places in attribute `above`, are held.
    x_ready, x_more, x_start, x_zero, loop_ready, loop_more, loop_zero, free
        Per place: state of the frames it hears and of the place for its own; `more`: there is one
        behind the first.
    taken, finished
        A group entered the neurons; a pass's last rate is out.
    begin, release
        Per place: a pass begins; it has read its frames for the last time.
    ends, here
        What `release` is made of: the pass at work ends; per place, whether that is it.
    start
        With `begin`: the pass begins a sequence.
    valid, first, last, tile, loop_tile
        The tile issued: stage 0.
    place, source, zero_x, zero_loop, flags
        Of the pass at stage 0. Flags: start, held, zero_u, and where it learns, whether it is the
        first since a reset.
    errors, sums_taken, traces_ready
        Where it learns: the errors of one more group are in memory; per place, whether the layer
        below has taken the sums of the step before, and whether filtered inputs are there.
    group, first_group, last_group, begin_last
        Of the tile issued: its group, counted over all layers, whether that is the first or the
        last of its pass; per place: a last group begins.
    opening
        The next tile is a pass's first, whether it is issued or waits: what is worked on then may
        load.
    idle
        No step pending, no pass under way.
    waiting, zero_u, state_write, state_data
        Per place: held until a sequence begins; potentials are 0; from the bus, both.
    """

    def __init__(self, engine: Engine, pending_limit: int):
        self.engine, self.pending_limit = engine, pending_limit
        self.above = sum((p.layer > 0) << k for k, p in enumerate(engine.passes))
        places = len(engine.passes)
        tiles = range(max(2, *(piece.tiles for piece in engine.passes)))
        super().__init__(
            {
                **(self._learning_members() if engine.learns else {}),
                "step": In(1),
                "hold": In(1),
                **dict.fromkeys(("x_ready", "x_more", "x_start", "x_zero"), In(places)),
                **dict.fromkeys(("loop_ready", "loop_more", "loop_zero", "free"), In(places)),
                "taken": In(1),
                "finished": In(1),
                "begin": Out(places),
                "release": Out(places),
                "ends": Out(1),
                "here": Out(places),
                "start": Out(1),
                "valid": Out(1),
                "first": Out(1, init=1),
                "last": Out(1, init=int(engine.passes[0].tiles == 1)),
                "tile": Out(tiles),
                "loop_tile": Out(tiles),
                "place": Out(range(max(2, places))),
                "source": Out(Source),
                "zero_x": Out(1),
                "zero_loop": Out(1),
                "flags": Out(engine.flag_count),
                "idle": Out(1),
                "waiting": Out(places),
                "zero_u": Out(places, init=(1 << places) - 1),
                "state_write": In(places),
                "state_data": In(2),
            }
        )

    def _learning_members(self) -> dict[str, Member]:
        places = len(self.engine.passes)
        return {
            "errors": In(1),
            **dict.fromkeys(("sums_taken", "traces_ready"), In(places)),
            "group": Out(range(max(2, self.engine.groups))),
            "first_group": Out(1),
            "last_group": Out(1),
            "opening": Out(1),
            "begin_last": Out(places),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        group = Signal(range(max(2, *(piece.groups for piece in self.engine.passes))))
        self._here = Signal(len(self.engine.passes), init=1)  # the place, a bit each
        begins, ends = Signal(), Signal()
        piece = self.engine.passes[0]
        later, last_group = Signal(), Signal(init=int(piece.groups == 1))
        ending = Signal(init=int(piece.fold == 1))  # the tile at hand is a pass's last
        go = self._go(m, begins, later, last_group)
        last_next, last_group_next = self._ends(last_group, group)
        m.d.sync += [
            self.last.eq(last_next),
            last_group.eq(last_group_next),
            ending.eq(last_next & last_group_next),
        ]
        may, credit = self._credits(m)
        if self.engine.learns:
            may = Signal(name="may")
            m.d.sync += may.eq(credit & self._errors(m, ends, later, last_group, last_group_next))
        m.d.comb += [
            self.valid.eq(~self.first | (may & go)),
            begins.eq(self.first & may & ~later & go),
            ends.eq((~self.first | (may & go)) & ending),
            self.begin.eq(Mux(begins, self._here, 0)),
            self.release.eq(Mux(ends, self._here, 0)),
            self.ends.eq(ends),
            self.here.eq(self._here),
        ]
        self._walk(m, ends, group, later, last_group)
        self._source(m)
        self._state(m, begins)
        return m

    def _choose(self, number) -> Value:
        return choose(self.place, [number(piece) for piece in self.engine.passes], constant)

    def _of_place(self, flags: Value) -> Value:
        """Return the flag of the pass at work."""
        return (flags & self._here).any()

    def _coming(self, flags: Value, ends: Value) -> Value:
        """Return the flag of the pass at work in the next clock."""
        following = self._of_place(flags.rotate_right(1))
        return Mux(ends, following, self._of_place(flags))

    def _after(self, number) -> Value:
        """Return the number of the pass after that at work."""
        passes = self.engine.passes
        return choose(self.place, list(map(number, (*passes[1:], passes[0]))), constant)

    def _ends(self, last_group: Value, group: Value) -> tuple[Value, Value]:
        """Whether the next tile is its group's last, and the next tile's group its pass's."""

        def alone(piece: Pass) -> int:
            return int(piece.tiles == 1)

        def one_group(piece: Pass) -> int:
            return int(piece.groups == 1)

        opens = Mux(last_group, self._after(alone), self._choose(alone))
        goes_on = self.tile == self._choose(lambda piece: piece.tiles - 2)
        last = Mux(self.valid, Mux(self.last, opens, goes_on), self.last)
        behind = group == self._choose(lambda piece: piece.groups - 2)
        following = Mux(last_group, self._after(one_group), behind)
        return last, Mux(self.valid & self.last, following, last_group)

    def _walk(self, m: Module, ends: Value, group: Value, later: Value, last_group: Value) -> None:
        """Tiles, groups, passes; weights lie in the order of work."""
        with m.If(self.valid):
            m.d.sync += [self.tile.eq(self.tile + 1), self.first.eq(self.last)]
            with m.If(self.last):
                m.d.sync += [self.tile.eq(0), group.eq(group + 1), later.eq(~last_group)]
        with m.If(ends):
            m.d.sync += [group.eq(0), self.place.eq(self.place + 1)]
            m.d.sync += self._here.eq(self._here.rotate_left(1))
            with m.If(self._here[-1]):
                m.d.sync += self.place.eq(0)

    def _source(self, m: Module) -> None:
        """Own rates follow the inputs, in the same tile where the inputs do not fill it."""

        def kind(piece: Pass) -> tuple[int, int, bool]:
            return (*divmod(piece.spec.inputs, piece.simd), piece.spec.recurrent)

        def source(key: tuple[int, int, bool]) -> Value:
            whole, rest, recurrent = key
            straddle = Source.BOTH if rest else Source.LOOP
            inside = Mux(self.tile == whole, straddle.value, Source.LOOP.value)
            return Mux((self.tile < whole) | (not recurrent), Source.INPUT.value, inside)

        m.d.comb += self.source.as_value().eq(
            choose(self.place, [kind(piece) for piece in self.engine.passes], source)
        )
        with m.If(self.valid & (self.source != Source.INPUT)):
            m.d.sync += self.loop_tile.eq(Mux(self.last, 0, self.loop_tile + 1))

    def _credits(self, m: Module) -> tuple[Value, Value]:
        """Whether the queue has room for a group, and will next; it counts a clock later."""
        depth, taken = self.engine.queue_depth, Signal()
        m.d.sync += taken.eq(self.taken)
        return tokens_ahead(m, taken, self.valid & self.first, depth, depth)[1:]

    def _errors(
        self, m: Module, ends: Value, later: Value, last_group: Value, last_next: Value
    ) -> Value:
        """Whether the errors of the next group will be there, and where its sums go is free."""
        count, first = self.engine.groups, self.valid & self.first
        errors = tokens_ahead(m, self.errors, first, count)[2]
        m.d.comb += [
            self.first_group.eq(~later),
            self.opening.eq(self.first & ~later),
            self.last_group.eq(last_group),
            self.begin_last.eq(Mux(first & last_group, self._here, 0)),
        ]
        with m.If(self.valid & self.last):
            m.d.sync += self.group.eq(self.group + 1)
        with m.If(ends & self._here[-1]):
            m.d.sync += self.group.eq(0)
        return errors & (~last_next | self._coming(self.sums_taken, ends))

    def _go(self, m: Module, begins: Value, later: Value, last_group: Value) -> Value:
        """Whether the group at hand is a later one, or its pass finds all that it needs."""
        go, final, passes = Signal(), self._here[-1], self.engine.passes
        count, pending = tokens(m, self.step, begins & final, self.pending_limit)
        there = self.loop_ready & self.free
        if self.engine.learns:
            there &= self.traces_ready
        now = pending & self._of_place(self.x_ready & there)
        following = pending & self._of_place((self.x_ready & there).rotate_right(1))
        if len(passes) == 1:  # what the pass that ends hears is still there
            following = pending & (self.x_more & self.loop_more & there)[0]
        if passes[-1].fold == 1:  # and what it takes is not gone yet
            following = following & ((count > 1) | ~final) if len(passes) > 1 else C(0, 1)
        with m.If(self.valid & self.last):
            m.d.sync += go.eq(~last_group | following)
        with m.Else():
            m.d.sync += go.eq(later | now)
        self._settle(m, begins, pending)
        return go

    def _settle(self, m: Module, begins: Value, pending: Value) -> None:
        """Count the passes whose rates are not out."""
        most = self.engine.queue_depth + self.engine.rate_stage + 2
        done = ~pending & ~tokens(m, begins, self.finished, most)[1]
        if self.engine.learns:  # what is learned is written later than rates are out
            done &= self.traces_ready.all()
            drain = Signal(range(LEARNED_LATE + 1), init=LEARNED_LATE)
            m.d.sync += drain.eq(Mux(done, Mux(drain == 0, 0, drain - 1), LEARNED_LATE))
            done &= drain == 0
        m.d.comb += self.idle.eq(done)

    def _state(self, m: Module, begins: Value) -> None:
        """Settle the flags of a pass when it begins."""
        start = self.x_start
        if len(self.engine.passes) > 1:  # another pass comes between the frame before and this
            start = Signal.like(self.x_start, name="x_started")
            m.d.sync += start.eq(self.x_start)
        starts = self._of_place(start)
        held = self._of_place(self.waiting) & ~starts
        fresh = self._of_place(self.zero_u)
        settled = Cat(
            *(starts, held, starts | fresh),
            *([fresh] if self.engine.learns else []),
            self._of_place(self.x_zero),
            starts | self._of_place(self.loop_zero),
        )
        now, kept = Signal(len(settled)), Signal(len(settled))
        m.d.comb += [
            now.eq(Mux(begins, settled, kept)),
            Cat(self.flags, self.zero_x, self.zero_loop).eq(now),
            self.start.eq(starts),
        ]
        m.d.sync += kept.eq(now)
        with m.If(begins):
            m.d.sync += [
                self.waiting.eq(Mux(held, self.waiting, self.waiting & ~self._here)),
                self.zero_u.eq(self.zero_u & ~self._here),
            ]
        with m.If(self.hold):
            m.d.sync += self.waiting.eq(self.above)
        for k in range(len(self.engine.passes)):
            with m.If(self.state_write[k]):
                m.d.sync += Cat(self.waiting[k], self.zero_u[k]).eq(self.state_data)
