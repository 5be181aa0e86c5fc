"""What learning adds between the engines of a network: sums on their way down, targets, tokens."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from vle.compiler.circuit.edges import Sums
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.targets import target_spec
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH
from vle.compiler.learning.spec import Points
from vle.compiler.learning.step import Clamped
from vle.hw.counters import Counters
from vle.hw.engine import Engine
from vle.hw.frame_buffer import FrameBuffer
from vle.hw.learning_engine import LearningEngine
from vle.hw.numeric import either
from vle.hw.receiver import FrameReceiver
from vle.hw.sum_buffer import SumBuffer
from vle.hw.targets import TargetBuffer, target_layout


def learning_members(chip: ChipSpec) -> dict[str, Member]:
    """Ports of a network that learns."""
    layers, engines = len(chip.network.layers), len(chip.engines)
    neurons = max(layer.outputs for layer in chip.network.layers)
    e_width = max(engine.error_width for engine in chip.engines)
    v_width = max(engine.v_width for engine in chip.engines)
    words = max(engine.lanes * engine.weight_width for engine in chip.engines)
    fold = max(engine.fold for engine in chip.engines)
    rate = In(MANTISSA_WIDTH + EXPONENT_WIDTH).array(layers)
    shown = {
        "trace_held": 1,
        "trace_error_valid": 1,
        "trace_error_layer": range(max(2, layers)),
        "trace_error_neuron": range(max(2, neurons)),
        "trace_e": signed(e_width),
        "trace_v": signed(v_width),
        "trace_exponent": signed(EXPONENT_WIDTH),
        "trace_weight_valid": 1,
        "trace_weight_address": range(max(2, fold)),
        "trace_weight": words,
    }
    assert chip.learning is not None
    return {
        "target": In(stream.Signature(target_layout(target_spec(chip.learning).width))),
        "rate": rate,
        "tau_rate": rate,
        **{name: Out(shape).array(engines) for name, shape in shown.items()},
    }


class LearningConnections:
    """Connects engines that learn with each other, and with the ports of the network.

    Parameters
    ----------
    m
        Takes the statements.
    core
        The `NetworkCore`: `chip` and ports.
    engines, buffers
        Of the network.
    """

    def __init__(
        self, m: Module, core, engines: Sequence[Engine], buffers: list[FrameBuffer]
    ) -> None:
        self.m, self.core, self.chip = m, core, core.chip
        self.engines, self.buffers = engines, buffers
        self.sums = [SumBuffer(sums) for sums in self.chip.shared_sums]
        self.targets = TargetBuffer(target_spec(self.chip.learning))

    def submodules(self, cleared) -> None:
        """Add the blocks, which a reset clears."""
        for buffer in self.sums:
            self.m.submodules[f"{buffer.sums.kind}{buffer.sums.edges[0].source}"] = cleared(buffer)
        self.m.submodules.targets = cleared(self.targets)

    def connect(self, receiver: FrameReceiver, counters: Counters, clear: Value) -> None:
        """Connect all but the bus."""
        self._steps(receiver)
        for buffer in self.sums:
            self._connect_sums(buffer.sums, buffer)
            for k in range(len(buffer.sums.edges)):
                self._connect_edge(buffer, k, clear)
        for engine in self.engines:
            self._connect_words(engine)
        self._connect_targets(counters)
        for layer in range(len(self.chip.network.layers)):
            self._connect_layer(layer, counters)
        for k, engine in enumerate(self.engines):
            self._show(k, engine)

    def _place(self, layer: int) -> tuple[LearningEngine, int]:
        geometry, place = self.chip.engine_of(layer)
        return self.engines[geometry.index], place

    def _steps(self, receiver: FrameReceiver) -> None:
        for engine in self.engines:
            self.m.d.comb += [
                engine.errors.step_target.eq(receiver.target),
                engine.errors.step_freeze.eq(receiver.freeze),
            ]

    def _token(self, name: str, up: Value, down: Value, clear: Value, init: int) -> Value:
        """Return the token: put by `up`, taken by `down`."""
        token = Signal(name=name, init=init)
        with self.m.If(up):
            self.m.d.sync += token.eq(1)
        with self.m.If(down):
            self.m.d.sync += token.eq(0)
        with self.m.If(clear):
            self.m.d.sync += token.eq(init)
        return token

    def _connect_sums(self, sums: Sums, buffer: SumBuffer) -> None:
        """Connect the words of a memory with the engines that write and read it."""
        source, sink = self.engines[sums.writer], self.engines[sums.reader]
        valid = source.down_valid if sums.kind == "down" else source.loop_valid
        sources = [self._place(edge.source)[1] for edge in sums.edges]
        sinks = [self._place(edge.sink)[1] for edge in sums.edges]
        self.m.d.comb += [
            buffer.w_valid.eq(Cat(valid[place] for place in sources)),
            buffer.w_data.eq(source.sums),
            buffer.w_exponent.eq(source.sum_exponent),
            buffer.reader.eq(Cat(sink.errors.here[place] for place in sinks)),
            buffer.take.eq(sink.errors.take),
            buffer.last.eq(sink.errors.last),
        ]

    def _connect_words(self, engine: Engine) -> None:
        """Connect what an engine's errors hear: memories that were not asked answer 0."""
        for name, kind in (("above", "down"), ("loop", "loop_error")):
            heard = [
                buffer.o
                for buffer in self.sums
                if (buffer.sums.kind, buffer.sums.reader) == (kind, engine.engine.index)
            ]
            self.m.d.comb += getattr(engine.errors, name).eq(either([*heard, C(0, 1)]))

    def _connect_edge(self, buffer: SumBuffer, k: int, clear: Value) -> None:
        """One frame of sums: it is read before the next one is written, and the other way."""
        edge = buffer.sums.edges[k]
        down = edge.kind == "down"
        (source, at), (sink, place) = self._place(edge.source), self._place(edge.sink)
        learning = self.chip.learning.learning[edge.source]
        points = Points.of(self.chip.network.layers[edge.source], learning)
        written = source.sums_begin if down else source.loop_sums_begin
        exponent = getattr(sink.errors, f"{'above' if down else 'loop'}_exponent{place}")
        name = f"{edge.kind}{edge.source}"
        ready = self._token(name, written[at], sink.errors.begin[place], clear, 1)
        self.m.d.comb += exponent.eq(buffer.exponent[k] + points.sums)
        if not down:
            self.m.d.comb += sink.errors.loop_sums_ready[place].eq(ready | written[at])
            return
        taken = self._token(
            f"{name}_taken", sink.errors.took[place], source.begin_last[at], clear, 0
        )
        self.m.d.comb += [
            sink.errors.sums_ready[place].eq(ready | written[at]),
            source.sums_taken[at].eq(taken),
        ]

    def _connect_targets(self, counters: Counters) -> None:
        targets, top = self.targets, len(self.chip.network.layers) - 1
        engine, place = self._place(top)
        errors, stream_in = engine.errors, self.core.target
        self.m.d.comb += [
            targets.i.payload.eq(stream_in.payload),
            targets.i.valid.eq(stream_in.valid),
            stream_in.ready.eq(targets.i.ready),
            targets.take.eq(errors.take_target),
            errors.target_ready.eq(targets.ready),
            errors.is_error.eq(targets.is_error),
            errors.target.eq(targets.o),
            getattr(errors, f"above_exponent{place}").eq(-self.chip.learning.error_bits),
            errors.sums_ready[place].eq(1),
            counters.target_error.eq(targets.dropped),
        ]

    def _connect_layer(self, layer: int, counters: Counters) -> None:
        """Connect the frame that tells whether a sequence starts, rates, and counters."""
        engine, place = self._place(layer)
        errors, buffer = engine.errors, self.buffers[layer]
        self.m.d.comb += [
            buffer.hear.eq(errors.begin[place]),
            errors.hear_ready[place].eq(buffer.hear_ready | buffer.reserve),
            errors.hear_start[place].eq(buffer.hear_start),
            errors.rate[place].eq(self.core.rate[layer]),
            errors.tau_rate[place].eq(self.core.tau_rate[layer]),
        ]
        if layer == 0:
            self.m.d.comb += engine.sums_taken[place].eq(1)
        if not engine.engine.passes[place].loops:
            self.m.d.comb += errors.loop_sums_ready[place].eq(1)
        for kind in range(len(Clamped._fields)):
            self.m.d.comb += counters.clamping[layer][kind].eq(engine.clamped[place][kind])

    def _show(self, k: int, engine: Engine) -> None:
        """Show each error, and each word of weights, as it is written."""
        core, errors, unit = self.core, engine.errors, engine.errors.unit
        shown = [
            (core.trace_held, engine.o_held),
            (core.trace_error_valid, unit.o_valid),
            (core.trace_error_layer, layer_at(engine, unit.o_place)),
            (core.trace_error_neuron, unit.o_row),
            (core.trace_e, unit.e),
            (core.trace_v, unit.v),
            (core.trace_exponent, errors.o_exponent),
            (core.trace_weight_valid, engine.written),
            (core.trace_weight_address, engine.written_address),
            (core.trace_weight, engine.written_words),
        ]
        for port, value in shown:
            self.m.d.comb += port[k].eq(value)


def layer_at(engine: Engine, place: Value) -> Value:
    """Return the index of the layer at a place."""
    index = Value.cast(0)
    for k, piece in enumerate(engine.engine.passes):
        index = Mux(place == k, piece.layer, index)
    return index
