"""The chip under the port names of AXI."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import register_map
from vle.hw import axi_lite, axi_stream
from vle.hw.bus_stage import BusStage
from vle.hw.control import Control
from vle.hw.network import NetworkCore
from vle.hw.ports import FLAGS, chip_ports
from vle.hw.probes import Probes

TRACE = wiring.Signature(
    {
        "valid": Out(1),
        "layer": Out(16),
        "neuron": Out(16),
        "u": Out(signed(32)),
        "r": Out(signed(32)),
    }
)


LEARNING_TRACE = wiring.Signature(
    {
        **TRACE.members,
        "error_valid": Out(1),
        "error_layer": Out(16),
        "error_neuron": Out(16),
        "e": Out(signed(32)),
        "v": Out(signed(32)),
        "exponent": Out(signed(8)),
    }
)


class Top(wiring.Component):
    """A network with streams of frames and access to its registers and memories.

    Parameters
    ----------
    chip
        Network, folding, and how it learns.
    trace
        Whether each engine shows every neuron's new `u` and `r`; where it learns also its `e` and
        `v`.

    Members
    -------
    s_axis : In(axi_stream.Signature)
        Input frames. TUSER with the first word: bit 0, the frame begins a sequence; on a chip that
        learns also bit 1, a target frame belongs to its step; bit 2, its step updates nothing.
    m_axis : Out(axi_stream.Signature)
        Output frames, TUSER with every word of one that began a sequence.
    s_axil : In(axi_lite.Signature)
        Registers and memories, at 4 times the word addresses of `vle.compiler.circuit.registers`.
    s_axis_target : In(axi_stream.Signature)
        Target frames, one for each step that says so; TUSER with the first word: the words are
        `-dC/dr` themselves. Of a chip that learns, as the next.
    m_axis_probe : Out(axi_stream.Signature)
        Words of probes, TLAST on each; TUSER: probe in bits 0 to 7, exponent in 8 to 15, number of
        the word in 16 to 31. See `vle.hw.probes.Probes`.
    trace : Out(TRACE).array(engines), or LEARNING_TRACE
        Where asked for.
    """

    def __init__(self, chip: ChipSpec, *, trace: bool = False) -> None:
        self.chip, self.with_trace = chip, trace
        self.map = register_map(chip)
        ports = chip_ports(chip)
        if trace:
            self.trace_signature = TRACE if chip.learning is None else LEARNING_TRACE
            ports["trace"] = Out(self.trace_signature).array(len(chip.folding.engines))
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        """Connect the network to its control registers, and both to the ports."""
        m = Module()
        chip = self.chip
        learns = chip.learning is not None
        m.submodules.core = core = NetworkCore(chip, trace=self.with_trace)
        m.submodules.bridge = bridge = axi_lite.Bridge(self.map.address_width)
        m.submodules.control = control = Control(self.map, len(chip.network.layers), chip.learning)
        axi_stream.receive(m, self.s_axis, core.i, FLAGS if learns else FLAGS[:1])
        axi_stream.transmit(m, core.o, self.m_axis)
        wiring.connect(m, wiring.flipped(self.s_axil), bridge.axi)
        if learns:
            m.submodules.bus = stage = BusStage(self.map.address_width)
            wiring.connect(m, bridge.bus, stage.i)
            wiring.connect(m, stage.o, control.bus)
        else:
            wiring.connect(m, bridge.bus, control.bus)
        wiring.connect(m, control.core, core.bus)
        wiring.connect(m, control.counts, core.counts)
        m.d.comb += [
            core.halt.eq(control.halt),
            core.clear.eq(control.clear),
            core.clear_counters.eq(control.clear_counters),
            control.idle.eq(core.idle),
        ]
        if learns:
            self._learning(m, core, control)
        if self.with_trace:
            self._trace(m, core)
        return m

    def _learning(self, m: Module, core: NetworkCore, control: Control) -> None:
        """Targets in, rates of learning, counters, probes."""
        axi_stream.receive(m, self.s_axis_target, core.target, ("error",))
        _each(m, core.rate, control.rate)
        _each(m, core.tau_rate, control.tau_rate)
        m.submodules.probes = probes = Probes(self.chip, control.probes)
        _each(m, probes.select, control.probe)
        _each(m, probes.select_write, control.probe_write)
        m.d.comb += [
            probes.clear.eq(control.clear_counters),
            control.probe_lost.eq(probes.lost),
        ]
        for k in range(len(self.chip.engines)):
            _tap(m, core, k, "trace_", probes.neuron[k])
            _tap(m, core, k, "trace_error_", probes.error[k])
            weight = getattr(probes, f"weight{k}")
            m.d.comb += [
                weight.valid.eq(core.trace_weight_valid[k]),
                weight.address.eq(core.trace_weight_address[k]),
                weight.word.eq(core.trace_weight[k]),
            ]
        axis, word = self.m_axis_probe, probes.o.p
        m.d.comb += [
            axis.tdata.eq(word.word),
            axis.tlast.eq(1),
            axis.tuser.eq(Cat(word.probe, word.exponent, word.step)),
            axis.tvalid.eq(probes.o.valid),
            probes.o.ready.eq(axis.tready),
        ]

    def _trace(self, m: Module, core: NetworkCore) -> None:
        """Show the words of all neurons; layers that wait show nothing."""
        for engine, port in enumerate(self.trace):
            m.d.comb += [
                getattr(port, name).eq(getattr(core, f"trace_{name}")[engine])
                for name in self.trace_signature.members
            ]
            if self.chip.learning is not None:
                valid = core.trace_valid[engine] & ~core.trace_held[engine]
                m.d.comb += port.valid.eq(valid)


def _each(m: Module, ours, theirs) -> None:
    """Connect two arrays of ports of the same shape."""
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(a, Value):
            m.d.comb += a.eq(b)
        else:
            _each(m, a, b)


def _tap(m: Module, core: NetworkCore, engine: int, prefix: str, tap) -> None:
    """Connect a tap of the core: the place by its own prefix, words by their names."""
    for name in tap.signature.members:
        own = prefix if name in ("valid", "layer", "neuron") else "trace_"
        m.d.comb += getattr(tap, name).eq(getattr(core, f"{own}{name}")[engine])
