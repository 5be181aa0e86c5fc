"""From groups of rows to one row per clock."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine
from vle.hw.numeric import choose, constant
from vle.hw.tokens import tokens


class GroupQueue(wiring.Component):
    """Groups wait here for the neurons, which take a row per clock and never wait.

    A group that finds the queue empty has its first row at `o` 1 clock later. An engine of few
    neurons pauses between steps until the first potential is back in memory.

    Parameters
    ----------
    engine
        Rows of its layers, and depth.

    Members
    -------
    i_valid, i, i_flags
        Sums of a group; there is always room, as the scheduler counts.
    taken
        A group leaves the queue.
    advance
        A row will stand at `o` in the next clock.
    o_valid, o, o_flags
        A row's sum, and the flags of its pass.
    place, row, neuron, last
        Its layer by the place in the order of work, its number in layer and engine, and whether
        it is the layer's last.
    group, lane
        Where it learns: the row's group, counted over all layers, and its lane there.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        where = {
            "group": Out(range(max(2, engine.groups))),
            "lane": Out(range(max(2, engine.pe))),
        }
        flags = engine.flag_count
        super().__init__(
            {
                **(where if engine.learns else {}),
                "i_valid": In(1),
                "i": In(engine.pe * engine.acc_width),
                "i_flags": In(flags),
                "taken": Out(1),
                "advance": Out(1),
                "o_valid": Out(1),
                "o": Out(signed(engine.acc_width)),
                "o_flags": Out(flags),
                "place": Out(range(max(2, len(engine.passes)))),
                "row": Out(range(max(2, *(spec.outputs for spec in engine.layers)))),
                "neuron": Out(range(max(2, engine.neurons))),
                "last": Out(1, init=int(engine.layers[0].outputs == 1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        engine = self.engine
        rest = Signal(engine.pe * engine.acc_width, reset_less=True)
        part, pause = Signal(range(max(2, engine.pe))), Signal()
        load, free = Signal(), Signal()
        ready, group_last = Signal(init=1), Signal(init=int(engine.pe == 1) | self.last.init)
        incoming = Cat(self.i, self.i_flags)
        put, held = Signal(), Signal()
        m.d.comb += held.eq(tokens(m, put, load & held, engine.queue_depth)[1])
        first = self._ring(m, incoming, put, load & held)
        m.d.comb += [
            self.o.eq(rest[: engine.acc_width].as_signed()),
            free.eq(ready & ~pause),
            load.eq(free & (held | self.i_valid)),
            put.eq(self.i_valid & (held | ~free)),
            self.taken.eq(load),
            self.advance.eq(load | (self.o_valid & ~group_last)),
        ]
        with m.If(load):
            m.d.sync += Cat(rest, self.o_flags).eq(Mux(held, first, incoming))
        with m.Else():
            m.d.sync += rest.eq(rest.shift_right(engine.acc_width))
        last = self._count(m)
        last |= (engine.pe == 1) | (~group_last & (part == max(0, engine.pe - 2)))
        group_last_next = Mux(self.o_valid, last, group_last)
        m.d.sync += [
            self.o_valid.eq(self.advance),
            group_last.eq(group_last_next),
            ready.eq(~self.advance | group_last_next),
        ]
        with m.If(self.o_valid):
            m.d.sync += part.eq(Mux(group_last, 0, part + 1))
        self._pause(m, pause)
        if engine.learns:
            m.d.comb += self.lane.eq(part)
            with m.If(self.o_valid & group_last):
                m.d.sync += self.group.eq(Mux(self.group == engine.groups - 1, 0, self.group + 1))
        return m

    def _ring(self, m: Module, word: Value, put: Value, take: Value) -> Value:
        """Return the first of the words put and not taken."""
        depth = self.engine.queue_depth
        m.submodules.ring = ring = Memory(shape=len(word), depth=depth, init=[])
        write, read = ring.write_port(), ring.read_port(domain="comb")
        m.d.comb += [write.en.eq(put), write.data.eq(word)]
        for port, moves in ((write, put), (read, take)):
            at = Signal(range(depth))
            m.d.comb += port.addr.eq(at)
            with m.If(moves):
                m.d.sync += at.eq(Mux(at == depth - 1, 0, at + 1))
        return read.data

    def _count(self, m: Module) -> Value:
        """Where the row at `o`, or the next one to come, belongs; return the next `last`."""
        engine, final = self.engine, len(self.engine.passes) - 1
        rows = [spec.outputs for spec in engine.layers]
        after = [*rows[1:], rows[0]]
        behind = self.row == choose(self.place, rows, lambda n: constant(n - 2))
        last = Mux(self.last, choose(self.place, after, lambda n: C(n == 1, 1)), behind)
        with m.If(self.o_valid):
            m.d.sync += [self.row.eq(self.row + 1), self.last.eq(last)]
            m.d.sync += self.neuron.eq(Mux(self.neuron == engine.neurons - 1, 0, self.neuron + 1))
            with m.If(self.last):
                m.d.sync += self.row.eq(0)
                m.d.sync += self.place.eq(Mux(self.place == final, 0, self.place + 1))
        return last

    def _pause(self, m: Module, pause: Signal) -> None:
        """Keep steps so far apart that no potential is read before it is written."""
        neurons, loop = self.engine.neurons, self.engine.state_loop
        if neurons >= loop:
            return
        left = Signal(range(loop))
        step_last = self.o_valid & (self.neuron == neurons - 1)
        m.d.comb += pause.eq(step_last | (left != 0))
        with m.If(step_last):
            m.d.sync += left.eq(loop - 1 - neurons)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
