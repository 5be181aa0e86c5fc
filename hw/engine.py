"""An engine: scheduler, synapses, group queue and neurons, one behind the other."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member

from vle.compiler.circuit.edges import Frames
from vle.compiler.circuit.geometry import Engine as Geometry
from vle.compiler.circuit.latency import PAIRS, PRODUCT_STAGE, tree_stages
from vle.compiler.circuit.registers import neuron_kinds, tables
from vle.hw.group_queue import GroupQueue
from vle.hw.neurons import NeuronPipeline
from vle.hw.numeric import Delay
from vle.hw.operand import Operand
from vle.hw.scheduler import Scheduler
from vle.hw.synapses import SynapseArray

SCHEDULER = (
    *("step", "hold", "x_ready", "x_more", "x_start", "x_zero"),
    *("loop_ready", "loop_more", "loop_zero", "free"),
    *("begin", "release", "ends", "here", "start", "tile", "loop_tile", "idle"),
    *("waiting", "zero_u", "state_write", "state_data"),
)
NEURONS = (
    *("o_valid", "o", "o_at", "at_next", "o_place", "o_row", "o_last", "o_start", "o_held", "o_u"),
    *("saturated", "last_at"),
)


class Engine(wiring.Component):
    """Frames of its layers in, rates out.

    From the issue of a group's last tile to the rate of its first row:
    `engine.synapse_stages + engine.rate_stage` clocks, then a row per clock.

    Parameters
    ----------
    engine
        Geometry.
    heard
        Memories of the frames that it reads.
    pending_limit
        Steps that the input may be ahead of this engine.

    Members
    -------
    words<k>
        Of memory `k` of those, see `FrameMemory`.
    access_<kind>
        From the bus.

    The others are those of `Scheduler` and `NeuronPipeline`.
    """

    def __init__(self, engine: Geometry, heard: Sequence[Frames], pending_limit: int):
        self.engine = engine
        self.scheduler, self.operand = Scheduler(engine, pending_limit), Operand(engine, heard)
        self.synapses, self.queue = SynapseArray(engine), GroupQueue(engine)
        self.neurons = NeuronPipeline(engine)
        members = {name: self.scheduler.signature.members[name] for name in SCHEDULER}
        members |= {name: self.neurons.signature.members[name] for name in NEURONS}
        for name, member in self.operand.signature.members.items():
            if name.startswith("words"):
                members[name] = member
        members["access_weight"] = self.synapses.signature.members["access"]
        self.access_names = [f"access_{kind}" for kind in neuron_kinds(engine)]
        for k in range(len(tables(engine))):
            self.access_names += [f"access_value{k}", f"access_delta{k}"]
        for name in self.access_names:
            members[name] = self.neurons.signature.members[name]
        super().__init__(members | self._more_members())

    def _more_members(self) -> dict[str, Member]:
        """Ports of an engine that does more."""
        return {}

    def elaborate(self, platform) -> Module:
        m = Module()
        for name in ("scheduler", "operand", "synapses", "queue", "neurons"):
            setattr(m.submodules, name, getattr(self, name))
        for block, names in ((self.scheduler, SCHEDULER), (self.neurons, NEURONS)):
            for name in names:
                self._pass_on(m, block, name)
        self._operands(m)
        self._groups(m)
        for name in self.access_names:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.neurons, name))
        wiring.connect(m, wiring.flipped(self.access_weight), self.synapses.access)
        return m

    def _pass_on(self, m: Module, block: wiring.Component, name: str) -> None:
        """Wire a port of a block to the engine's of the same name."""
        inner, outer, member = getattr(block, name), getattr(self, name), self.signature.members
        pairs = zip(inner, outer, strict=True) if member[name].dimensions else [(inner, outer)]
        for inside, outside in pairs:
            if member[name].flow is In:
                m.d.comb += inside.eq(outside)
            else:
                m.d.comb += outside.eq(inside)

    def _operands(self, m: Module) -> None:
        """Stage 0 chooses, stage 1 sees the frames' words, stage 2 has the operands."""
        scheduler, operand, synapses = self.scheduler, self.operand, self.synapses
        for name in ("place", "zero_x", "zero_loop"):
            m.d.sync += getattr(operand, name).eq(getattr(scheduler, name))
        m.d.sync += operand.source.eq(scheduler.source)
        for name in operand.signature.members:
            if name.startswith("words"):
                m.d.comb += getattr(operand, name).eq(getattr(self, name))
        for name in ("valid", "first", "last"):
            m.d.comb += getattr(synapses, name).eq(getattr(scheduler, name))
        m.d.comb += synapses.operand.eq(operand.o)

    def _groups(self, m: Module) -> None:
        """Pass sums to the queue, rows to the neurons, and back to the scheduler what is done."""
        scheduler, synapses, queue, neurons = (
            self.scheduler,
            self.synapses,
            self.queue,
            self.neurons,
        )
        flags = Delay(m, scheduler.flags, "flags")
        m.d.comb += [
            queue.i_valid.eq(synapses.o_valid),
            queue.i.eq(synapses.o),
            queue.i_flags.eq(flags[PRODUCT_STAGE + tree_stages(self.engine.simd, PAIRS) + 1]),
            neurons.valid.eq(queue.o_valid),
            neurons.acc.eq(queue.o),
            neurons.flags.eq(queue.o_flags),
            *(
                getattr(neurons, name).eq(getattr(queue, name))
                for name in ("advance", "neuron", "place", "row", "last")
            ),
            scheduler.taken.eq(queue.taken),
            scheduler.finished.eq(neurons.o_last),
        ]
