"""The chip under the port names of AXI."""

from __future__ import annotations

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import register_map
from vle.hw import axi_lite, axi_stream
from vle.hw.control import Control
from vle.hw.network import NetworkCore

TRACE = wiring.Signature(
    {
        "valid": Out(1),
        "layer": Out(16),
        "neuron": Out(16),
        "u": Out(signed(32)),
        "r": Out(signed(32)),
    }
)


class Top(wiring.Component):
    """A network with streams of frames and access to its registers and memories.

    Parameters
    ----------
    chip
        Network and folding.
    trace
        Whether each engine shows every neuron's new `u` and `r`.

    Members
    -------
    s_axis : In(axi_stream.Signature)
        Input frames, TUSER with the first word of one that begins a sequence.
    m_axis : Out(axi_stream.Signature)
        Output frames, TUSER with every word of one that began a sequence.
    s_axil : In(axi_lite.Signature)
        Registers and memories, at 4 times the word addresses of `vle.compiler.circuit.registers`.
    trace : Out(TRACE).array(engines)
        Where asked for.
    """

    def __init__(self, chip: ChipSpec, *, trace: bool = False) -> None:
        self.chip, self.with_trace = chip, trace
        self.map = register_map(chip)
        layers = chip.network.layers
        ports = {
            "s_axis": In(axi_stream.Signature(axi_stream.word_width(layers[0].x_format.width))),
            "m_axis": Out(
                axi_stream.Signature(axi_stream.word_width(layers[-1].rate_format.width))
            ),
            "s_axil": In(axi_lite.Signature(self.map.address_width + 2)),
        }
        if trace:
            ports["trace"] = Out(TRACE).array(len(chip.folding.engines))
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        """Connect the network to its control registers, and both to the ports."""
        m = Module()
        m.submodules.core = core = NetworkCore(self.chip, trace=self.with_trace)
        m.submodules.bridge = bridge = axi_lite.Bridge(self.map.address_width)
        m.submodules.control = control = Control(self.map, len(self.chip.network.layers))
        axi_stream.receive(m, self.s_axis, core.i)
        axi_stream.transmit(m, core.o, self.m_axis)
        wiring.connect(m, wiring.flipped(self.s_axil), bridge.axi)
        wiring.connect(m, bridge.bus, control.bus)
        wiring.connect(m, control.core, core.bus)
        m.d.comb += [
            core.halt.eq(control.halt),
            core.clear.eq(control.clear),
            core.clear_counters.eq(control.clear_counters),
            control.idle.eq(core.idle),
            control.steps.eq(core.steps),
            control.frame_errors.eq(core.frame_errors),
        ]
        for ours, theirs in zip(control.saturation, core.saturation, strict=True):
            m.d.comb += [a.eq(b) for a, b in zip(ours, theirs, strict=True)]
        if self.with_trace:
            for engine, port in enumerate(self.trace):
                m.d.comb += [
                    getattr(port, name).eq(getattr(core, f"trace_{name}")[engine])
                    for name in TRACE.members
                ]
        return m
