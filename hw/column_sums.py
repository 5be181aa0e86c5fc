"""Sums over rows, one per column: what a layer's errors are to the layers that it hears."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.geometry import Engine, Pass
from vle.compiler.learning.errors import SUM_WIDTH, drop_of, sum_width
from vle.hw.numeric import Delay, choose_late, constant
from vle.hw.primitives import RegisteredMemory

LOOP = 4  # groups of fewer tiles come to a column again before its sum is back in memory


class ColumnSums(wiring.Component):
    """Adds each group's totals to those of the groups before, and sends the pass's sums on.

    ::

        acc_j = (rounding constant | acc_j) + total_j;    sum_j = acc_j >> drop

    A sum is in memory 4 clocks after it was read. Layers of up to three tiles come back to a
    column earlier, and take its sum from a register instead. Nothing waits.

    Parameters
    ----------
    engine
        Passes, and which of them send sums.
    total_width
        Bits of a group's total.

    Members
    -------
    valid, first, first_group, last_group, place
        A tile; whether it begins a group of rows; whether that is the pass's first, its last; the
        layer by its place in the order of work.
    totals
        Of that tile's `simd` columns, 2 clocks later.
    down_valid, loop_valid
        Per place, 3 clocks after `valid` in the last group: columns of the layer below, of the
        layer itself, stand at `sums`.
    sums
        `simd` words of `SUM_WIDTH` bits.
    """

    def __init__(self, engine: Engine, total_width: int):
        self.engine, self.total_width = engine, total_width
        self.senders = [p for p in engine.passes if p.sends or p.loops]
        places = len(engine.passes)
        super().__init__(
            {
                **dict.fromkeys(("valid", "first", "first_group", "last_group"), In(1)),
                "place": In(range(max(2, places))),
                "totals": In(engine.simd * total_width),
                "down_valid": Out(places),
                "loop_valid": Out(places),
                "sums": Out(engine.simd * SUM_WIDTH),
            }
        )

    @property
    def width(self) -> int:
        """Bits of a sum before bits are dropped."""
        return max(_bits(piece, sum_width) for piece in self.senders)

    def elaborate(self, platform) -> Module:
        m = Module()
        self._place = Delay(m, self.place, "place")
        self._valid = Delay(m, self.valid, "valid")
        tile = self._tile(m)
        before, acc = self._accumulators(m)
        self._memory(m, tile, before, acc)
        self._send(m, tile, acc)
        return m

    def _by_layer(self, m: Module, stage: int, number: Callable[[Pass], int], make) -> Value:
        """Choose what differs by layer; those that send nothing do not matter."""
        keys = [number(p if p in self.senders else self.senders[0]) for p in self.engine.passes]
        return choose_late(m, self._place[stage - 1], keys, make)

    def _tile(self, m: Module) -> Delay:
        """Count the tiles of a group."""
        count = Signal(range(max(2, *(piece.tiles for piece in self.engine.passes))))
        tile = Signal.like(count)
        m.d.comb += tile.eq(Mux(self.first, 0, count))
        with m.If(self.valid):
            m.d.sync += count.eq(tile + 1)
        return Delay(m, tile, "tile")

    def _accumulators(self, m: Module) -> tuple[Signal, list[Signal]]:
        """Add, 2 clocks after the tile; the sum stands 3 clocks after it."""
        width, first_group = self.width, Delay(m, self.first_group, "first_group")
        before = Signal(self.engine.simd * width)
        half = self._by_layer(m, 2, lambda piece: (1 << _bits(piece, drop_of)) >> 1, constant)
        accumulators = []
        for column in range(self.engine.simd):
            acc = Signal(signed(width), name=f"acc{column}", reset_less=True)
            total = self.totals.word_select(column, self.total_width).as_signed()
            base = Mux(first_group[2], half, before.word_select(column, width).as_signed())
            with m.If(self._valid[2]):
                m.d.sync += acc.eq(base + total)
            accumulators.append(acc)
        return before, accumulators

    def _memory(self, m: Module, tile: Delay, before: Signal, acc: list[Signal]) -> None:
        """Where the sums of the groups before come from."""
        longest = max(piece.tiles for piece in self.senders)
        sources, words = {1: Cat(acc)}, Cat(acc)
        kinds = {min(piece.tiles, LOOP) for piece in self.senders if piece.groups > 1}
        for tiles in range(2, 1 + max(kinds - {LOOP}, default=0)):
            sources[tiles] = Signal(len(words), name=f"acc_before{tiles}", reset_less=True)
            with m.If(self._valid[2]):
                m.d.sync += sources[tiles].eq(sources[tiles - 1])
        if LOOP in kinds:
            m.submodules.memory = memory = RegisteredMemory(len(words), longest)
            m.d.comb += [
                memory.r_addr.eq(tile[0]),
                memory.w_addr.eq(tile[3]),
                memory.w_data.eq(words),
                memory.w_en.eq(self._valid[3]),
            ]
            sources[LOOP] = memory.r_data
        if kinds:
            default = min(kinds)

            def kind(piece: Pass) -> int:
                return min(piece.tiles, LOOP) if piece.groups > 1 else default

            m.d.comb += before.eq(self._by_layer(m, 2, kind, sources.__getitem__))

    def _send(self, m: Module, tile: Delay, acc: list[Signal]) -> None:
        """Drop bits, and tell whose columns these are."""
        last_group = Delay(m, self.valid & self.last_group, "last_group")
        for column, word in enumerate(acc):
            cut = Signal(signed(SUM_WIDTH), name=f"sum{column}")
            m.d.comb += cut.eq(
                self._by_layer(m, 3, lambda piece: _bits(piece, drop_of), lambda n, w=word: w >> n)
            )
            m.d.comb += self.sums.word_select(column, SUM_WIDTH).eq(cut)
        for k, piece in enumerate(self.engine.passes):
            here = last_group[2]
            if len(self.engine.passes) > 1:
                here &= self._place[2] == k
            whole, rest = divmod(piece.spec.inputs, piece.simd)
            if piece.sends:
                m.d.sync += self.down_valid[k].eq(here & (tile[2] < whole + (rest > 0)))
            if piece.loops:
                m.d.sync += self.loop_valid[k].eq(here & (tile[2] >= whole))


def _bits(piece: Pass, of: Callable[[int, int, int], int]) -> int:
    return of(piece.spec.outputs, piece.spec.weight_width, piece.learning.error_width)
