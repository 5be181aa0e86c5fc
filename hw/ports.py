"""The ports of a chip, whatever stands behind them."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, ValueCastable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import register_map
from vle.compiler.circuit.targets import target_spec
from vle.hw import axi_lite, axi_stream

FLAGS = ("start", "target", "freeze")  # TUSER of an input frame, from the lowest bit
PROBE_USER = 32


def chip_ports(chip: ChipSpec) -> dict[str, wiring.Member]:
    """Return the streams and the bus of a chip by their names, as `Top` says."""
    first, top = chip.network.layers[0], chip.network.layers[-1]
    word, flags = axi_stream.word_width, len(FLAGS) if chip.learning else 1
    ports = {
        "s_axis": In(axi_stream.Signature(word(first.x_format.width), flags)),
        "m_axis": Out(axi_stream.Signature(word(top.rate_format.width))),
        "s_axil": In(axi_lite.Signature(register_map(chip).address_width + 2)),
    }
    if chip.learning is not None:
        width = target_spec(chip.learning).width
        ports["s_axis_target"] = In(axi_stream.Signature(word(width)))
        ports["m_axis_probe"] = Out(axi_stream.Signature(32, PROBE_USER))
    return ports


def flat_ports(component: wiring.Component) -> dict[str, tuple]:
    """Ports under the names of their standards: `s_axis_tdata`, where Amaranth joins with `__`."""
    return {
        "_".join(map(str, path)): (
            port.as_value() if isinstance(port, ValueCastable) else port,
            None,  # the direction follows from whether the design drives it
        )
        for path, _member, port in component.signature.flatten(component)
    }


class ChipInstance(wiring.Component):
    """A chip whose circuit is module `top` of another file.

    Parameters
    ----------
    chip
        Whose ports these are.

    Members
    -------
    As `Top`.
    """

    def __init__(self, chip: ChipSpec) -> None:
        self.chip = chip
        super().__init__(chip_ports(chip))

    def elaborate(self, platform) -> Module:
        m = Module()
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, port in self.signature.flatten(self):
            way = "i" if member.flow is In else "o"
            value = port.as_value() if isinstance(port, ValueCastable) else port
            ports[f"{way}_{'_'.join(map(str, path))}"] = value
        m.submodules.top = Instance("top", **ports)
        return m
