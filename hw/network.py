"""The whole network between an input stream, an output stream and a bus."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.edges import Edge, Frames
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine as Geometry
from vle.compiler.circuit.registers import counter_names, register_map
from vle.hw.bus import BusSignature
from vle.hw.clearing import NearReset
from vle.hw.counters import Counters, CountSignature
from vle.hw.decoder import BusDecoder
from vle.hw.engine import Engine
from vle.hw.frame_buffer import FrameBuffer
from vle.hw.frame_memory import FrameMemory
from vle.hw.host_access import connect_flags, connect_frames, connect_learning, connect_memories
from vle.hw.learning_core import LearningConnections, learning_members
from vle.hw.learning_engine import LearningEngine
from vle.hw.numeric import own
from vle.hw.receiver import FrameReceiver, word_layout
from vle.hw.sender import FrameSender


class NetworkCore(wiring.Component):
    """A network's engines and the frames between them.

    Parameters
    ----------
    chip
        Network and folding.
    trace
        Whether each engine shows every neuron's new potential and rate.

    Members
    -------
    i, o
        Frames in and out, one word per cycle; `start` is read on a frame's first word.
    bus
        Flags and memories; memories answer while `halt` and `idle`.
    halt
        No input word is accepted.
    idle
        All engines have done all steps whose frames were accepted.
    clear
        Reset of everything but memories and counters: as after power-up, parameters kept. Where it
        learns it comes a clock later, as does that of counts; streams stand still in that clock.
    clear_counters
        Zeroes all counts.
    counts
        In the order of `counter_names`: input frames accepted; those of a wrong length, dropped
        whole; words clamped, per layer: current, prosp, rate. Where it learns also targets of a
        wrong length, dropped whole; words clamped in learning, per layer and kind.
    trace_valid, trace_layer, trace_neuron, trace_u, trace_r
        Per engine, where asked for; layers that wait show nothing.

    Where it learns, moreover, and these always:

    target
        Frames of targets; `error` is read on a frame's first word. They are taken while `halt` too.
    rate, tau_rate
        Per layer: the mantissa, above it the exponent.
    trace_held, trace_error_valid, trace_error_layer, trace_error_neuron, trace_e, trace_v, \
    trace_exponent, trace_weight_valid, trace_weight_address, trace_weight
        Per engine: whether the layer of `trace_u` waits; errors, and the exponent of `trace_e` and
        `trace_v`; words of weights as they are written back.
    """

    def __init__(self, chip: ChipSpec, *, trace: bool = False):
        self.chip, self.trace = chip, trace
        layers = chip.network.layers
        learns = chip.learning is not None
        self.shown = trace or learns
        members = {
            "i": In(stream.Signature(word_layout(layers[0].x_format.width, learns=learns))),
            "o": Out(stream.Signature(word_layout(layers[-1].rate_format.width))),
            "bus": In(BusSignature(register_map(chip).address_width)),
            "halt": In(1),
            "idle": Out(1),
            "clear": In(1),
            "clear_counters": In(1),
            "counts": In(CountSignature(len(counter_names(len(layers), learns=learns)))),
        }
        if self.shown:
            members |= _trace_members(chip)
        if learns:
            members |= learning_members(chip)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, limit = self.chip, sum(edge.slots for edge in self.chip.edges) + 2
        learns = chip.learning is not None
        cleared = (NearReset if learns else ResetInserter)(self.clear)
        engines = [self._engine(engine, limit) for engine in chip.engines]
        buffers = [FrameBuffer(edge, learns=learns and not edge.recurrent) for edge in chip.edges]
        memories = [FrameMemory(frames) for frames in chip.frames]
        receiver, sender = FrameReceiver(chip.network.layers[0], learns=learns), FrameSender(chip)
        m.submodules.receiver, m.submodules.sender = cleared(receiver), cleared(sender)
        for name, blocks in (("engine", engines), ("buffer", buffers), ("frames", memories)):
            for k, block in enumerate(blocks):
                m.submodules[f"{name}{k}"] = cleared(block)
        m.submodules.counters = counters = Counters(chip)
        m.submodules.decoder = decoder = BusDecoder(register_map(chip))

        shut, clearing = Signal(), Signal()  # a learning chip's blocks are reset a clock later
        m.d["sync" if learns else "comb"] += clearing.eq(self.clear)
        m.d["sync" if learns else "comb"] += shut.eq(self.halt | (self.clear if learns else 0))
        self._connect_streams(m, receiver, sender, buffers[0])
        m.d.comb += [receiver.halt.eq(shut), decoder.open.eq(shut & self.idle)]
        for edge, buffer in zip(chip.edges, buffers, strict=True):
            self._connect_sink(m, edge, buffer, engines)
            if edge.source is not None:
                self._connect_source(m, edge, buffer, engines)
        for frames, memory in zip(chip.frames, memories, strict=True):
            self._connect_frames(m, frames, memory, receiver, engines, clearing=clearing)
        self._connect_output(m, sender, engines)
        m.d.comb += self.idle.eq(Cat(engine.idle for engine in engines).all())
        hold = Signal()
        m.d.sync += hold.eq(receiver.hold & ~self.clear)
        for engine in engines:
            m.d.comb += [engine.step.eq(receiver.accept), engine.hold.eq(hold)]
        self._connect_counters(m, counters, receiver, engines)
        wiring.connect(m, wiring.flipped(self.bus), decoder.bus)
        sums = []
        if learns:
            learning = LearningConnections(m, self, engines, buffers)
            learning.submodules(cleared)
            sums = learning.sums
            learning.connect(receiver, counters, clearing)
            with m.If(clearing):  # what is offered waits until the blocks are reset
                m.d.comb += [self.target.ready.eq(0), learning.targets.i.valid.eq(0)]
                m.d.comb += self.o.valid.eq(0)
            connect_learning(m, decoder, engines, sums)
        connect_memories(m, decoder, engines, sums, near=learns)
        connect_frames(m, decoder, memories, chip.edges)
        connect_flags(m, decoder, receiver, engines, buffers)
        if self.shown:
            self._connect_trace(m, engines)
        return m

    def _engine(self, engine: Geometry, limit: int) -> Engine:
        learning, heard = self.chip.learning, self.chip.heard(engine)
        if learning is None:
            return Engine(engine, heard, limit)
        return LearningEngine(engine, heard, limit, learning.loss)

    def _place(self, layer: int | None, engines: list[Engine]) -> tuple[Engine, int]:
        """Engine of a layer, and the layer's place in it."""
        assert layer is not None
        geometry, place = self.chip.engine_of(layer)
        return engines[geometry.index], place

    def _connect_streams(
        self, m: Module, receiver: FrameReceiver, sender: FrameSender, buffer: FrameBuffer
    ) -> None:
        wiring.connect(m, wiring.flipped(self.i), receiver.i)
        wiring.connect(m, wiring.flipped(self.o), sender.o)
        m.d.comb += [
            receiver.free.eq(buffer.free),
            buffer.reserve.eq(receiver.accept),
            buffer.reserve_start.eq(receiver.start),
            buffer.commit.eq(receiver.accept),
        ]

    def _connect_sink(
        self, m: Module, edge: Edge, buffer: FrameBuffer, engines: list[Engine]
    ) -> None:
        """Connect the layer that reads the frames."""
        engine, place = self._place(edge.sink, engines)
        m.d.comb += buffer.release.eq(engine.release[place])
        if edge.recurrent:
            m.d.comb += [
                engine.loop_ready[place].eq(buffer.ready),
                engine.loop_more[place].eq(buffer.more),
                engine.loop_zero[place].eq(buffer.zero),
            ]
            return
        m.d.comb += [
            engine.x_ready[place].eq(buffer.ready),
            engine.x_more[place].eq(buffer.more),
            engine.x_start[place].eq(buffer.start),
            engine.x_zero[place].eq(buffer.zero),
        ]
        if not self.chip.network.layers[edge.sink].recurrent:
            m.d.comb += [engine.loop_ready[place].eq(1), engine.loop_more[place].eq(1)]

    def _connect_source(
        self, m: Module, edge: Edge, buffer: FrameBuffer, engines: list[Engine]
    ) -> None:
        """Connect the layer that writes the frames."""
        engine, place = self._place(edge.source, engines)
        stage = engine.engine.commit_stage(edge.reader_tiles)
        m.d.comb += [
            buffer.reserve.eq(engine.begin[place]),
            buffer.reserve_start.eq(engine.start),
            buffer.commit.eq(engine.last_at[stage][place]),
        ]
        if not edge.recurrent:
            m.d.comb += engine.free[place].eq(buffer.free)

    def _connect_frames(
        self,
        m: Module,
        frames: Frames,
        memory: FrameMemory,
        receiver: FrameReceiver,
        engines: list[Engine],
        *,
        clearing: Value,
    ) -> None:
        """Connect a memory to the engines that write and read it; nothing is written in a reset."""
        reader = engines[frames.reader]
        sinks = [self._place(edge.sink, engines)[1] for edge in frames.edges]
        words = getattr(reader, f"words{self.chip.heard(reader.engine).index(frames)}")
        m.d.comb += [
            memory.tile.eq(reader.loop_tile if frames.recurrent else reader.tile),
            memory.release.eq(reader.ends & Cat(reader.here[place] for place in sinks).any()),
            words.eq(memory.words),
        ]
        if frames.writer is None:
            m.d.comb += [
                memory.w_valid.eq(receiver.w_valid),
                memory.w_data.eq(receiver.w_data),
                memory.w_last.eq(receiver.accept),
                memory.w_abort.eq(receiver.w_abort),
            ]
            return
        writer = engines[frames.writer]
        sources = [self._place(edge.source, engines)[1] for edge in frames.edges]
        last_next = writer.last_at[writer.engine.rate_stage - 1]
        for port, passes in (("w_valid", writer.at_next), ("w_last", last_next)):
            here = Cat(passes[place] for place in sources).any()
            m.d.comb += getattr(memory, port).eq(own(m, here & ~clearing, port))
        m.d.comb += memory.w_data.eq(writer.o)

    def _connect_output(self, m: Module, sender: FrameSender, engines: list[Engine]) -> None:
        engine, place = self._place(len(self.chip.network.layers) - 1, engines)
        m.d.comb += [
            engine.free[place].eq(sender.free),
            sender.reserve.eq(engine.begin[place]),
            sender.w_valid.eq(engine.o_at[place]),
            sender.w_data.eq(engine.o),
            sender.w_last.eq(engine.o_last),
            sender.w_start.eq(engine.o_start),
        ]

    def _connect_counters(
        self, m: Module, counters: Counters, receiver: FrameReceiver, engines: list[Engine]
    ) -> None:
        wiring.connect(m, wiring.flipped(self.counts), counters.read)
        late = self.chip.learning is not None  # as blocks are reset
        m.d["sync" if late else "comb"] += counters.clear.eq(self.clear_counters)
        m.d.comb += [
            counters.step.eq(receiver.accept),
            counters.error.eq(receiver.error),
        ]
        for layer in range(len(self.chip.network.layers)):
            engine, place = self._place(layer, engines)
            m.d.comb += counters.saturated[layer].eq(Mux(engine.o_at[place], engine.saturated, 0))

    def _connect_trace(self, m: Module, engines: list[Engine]) -> None:
        for k, engine in enumerate(engines):
            with m.Switch(engine.o_place):
                for place, piece in enumerate(engine.engine.passes):
                    with m.Case(place):
                        m.d.comb += self.trace_layer[k].eq(piece.layer)
            m.d.comb += [
                self.trace_valid[k].eq(engine.o_valid & ~self._hidden(engine)),
                self.trace_neuron[k].eq(engine.o_row),
                self.trace_u[k].eq(engine.o_u),
                self.trace_r[k].eq(engine.o),
            ]

    def _hidden(self, engine: Engine) -> Value:
        """Whether a layer that waits is not shown; where it learns, `trace_held` tells."""
        return engine.o_held if self.chip.learning is None else C(0, 1)


def _trace_members(chip: ChipSpec) -> dict[str, wiring.Member]:
    """Ports `trace_*`, an array over the engines."""
    engines = len(chip.engines)
    u_width = max(engine.u_width for engine in chip.engines)
    r_width = max(engine.rate_width for engine in chip.engines)
    neurons = max(layer.outputs for layer in chip.network.layers)
    return {
        "trace_valid": Out(1).array(engines),
        "trace_layer": Out(range(max(2, len(chip.network.layers)))).array(engines),
        "trace_neuron": Out(range(max(2, neurons))).array(engines),
        "trace_u": Out(signed(u_width)).array(engines),
        "trace_r": Out(signed(r_width)).array(engines),
    }
