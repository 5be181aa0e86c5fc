"""Whose traces are worked on, and where."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Pass
from vle.compiler.circuit.latency import TRACE_DRAIN


class TraceWalk(wiring.Component):
    """Columns of the passes that hear filtered inputs, one per clock, pass after pass in turn.

    From `due` to the first column: 3 clocks; from the last one until the next pass is looked at,
    `TRACE_DRAIN + 1`.

    Parameters
    ----------
    passes
        In the order of work.
    simd
        Columns side by side.

    Members
    -------
    begin, start, zero
        Per pass: its first tile; whether a sequence starts there, whether all state is 0.
    due
        Per pass: its traces may go on.
    turn
        The pass at work; stands until all is written.
    valid, column, tile, lane
        A column, counted over all passes, its tile and its lane in it.
    blank
        Whether low passes of the pass at work read as 0.
    ready
        Per pass: the traces of the one that began last are written.
    """

    def __init__(self, passes: list[Pass], simd: int):
        self.passes, self.simd = passes, simd
        count = len(passes)
        super().__init__(
            {
                "begin": In(count),
                "start": In(1),
                "zero": In(1),
                "due": In(count),
                "turn": Out(range(max(2, count))),
                "valid": Out(1),
                "column": Out(range(max(2, sum(piece.spec.columns for piece in passes)))),
                "tile": Out(range(max(2, sum(piece.tiles for piece in passes)))),
                "lane": Out(range(max(2, simd))),
                "blank": Out(1),
                "ready": Out(count),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        count = len(self.passes)
        under_way, due, blank = Signal(count), Signal(count), Signal(count)
        m.d.sync += due.eq(due | self.due)
        for k in range(count):
            with m.If(self.begin[k]):
                m.d.sync += [under_way[k].eq(1), blank[k].eq(self.start | self.zero)]
        m.d.comb += [
            self.ready.eq(~under_way),
            self.blank.eq(blank.bit_select(self.turn, 1)),
        ]
        left = Signal(range(max(TRACE_DRAIN, *(piece.spec.columns for piece in self.passes)) + 1))
        with m.FSM():
            with m.State("IDLE"), m.If(due.bit_select(self.turn, 1)):
                m.next = "BEGIN"
            with m.State("BEGIN"):
                columns = Array([piece.spec.columns for piece in self.passes])
                m.d.sync += [self.lane.eq(0), left.eq(columns[self.turn] - 1)]
                m.next = "COLUMNS"
            with m.State("COLUMNS"):
                m.d.comb += self.valid.eq(1)
                self._advance(m, left)
                with m.If(left == 0):
                    m.d.sync += left.eq(TRACE_DRAIN - 1)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    done = 1 << self.turn
                    m.d.sync += [under_way.eq(under_way & ~done), due.eq(due & ~done)]
                    m.d.sync += self.turn.eq(Mux(self.turn == count - 1, 0, self.turn + 1))
                    m.next = "IDLE"
        return m

    def _advance(self, m: Module, left: Signal) -> None:
        """To the next column; behind the last of a pass, to the first tile of the next one."""
        full = (self.lane == self.simd - 1) | (left == 0)
        last = (left == 0) & (self.turn == len(self.passes) - 1)
        m.d.sync += [
            left.eq(left - 1),
            self.lane.eq(Mux(full, 0, self.lane + 1)),
            self.column.eq(Mux(last, 0, self.column + 1)),
            self.tile.eq(Mux(last, 0, self.tile + full)),
        ]
