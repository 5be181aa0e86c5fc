"""A chip under the names and widths that SoC FPGAs expect."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.hw import axi_stream
from vle.hw.ports import ChipInstance, chip_ports

NAMES = {"s_axil": "s_axi"}  # ours, theirs; the others are the same
WORD = 32  # bits of every TDATA


class Soc(wiring.Component):
    """Module `top` with `aclk`, `aresetn`, AXI4-Lite `s_axi`, and AXI4-Streams of 32 bits.

    Words out are sign-extended; of words in the lowest bits count, as at `top`.

    Parameters
    ----------
    chip
        Whose `top.v` it is for.

    Members
    -------
    aclk, aresetn : In(1)
        Clock; reset, active low, synchronous.
    s_axi : In(axi_lite.Signature)
        As `Top.s_axil`.
    s_axis, m_axis, s_axis_target, m_axis_probe
        As those of `Top`, TDATA of 32 bits.
    """

    def __init__(self, chip: ChipSpec) -> None:
        self.chip = chip
        ports = {}
        for name, member in chip_ports(chip).items():
            signature = member.signature if member.flow is Out else member.signature.flip()
            if isinstance(signature, axi_stream.Signature):
                users = signature.members["tuser"].shape
                signature = axi_stream.Signature(WORD, users)
            ports[NAMES.get(name, name)] = wiring.Member(member.flow, signature)
        super().__init__({"aclk": In(1), "aresetn": In(1), **ports})
        streams = ":".join(name for name in ports)
        self.aclk.attrs["X_INTERFACE_INFO"] = "xilinx.com:signal:clock:1.0 aclk CLK"
        self.aclk.attrs["X_INTERFACE_PARAMETER"] = (
            f"ASSOCIATED_BUSIF {streams}, ASSOCIATED_RESET aresetn"
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.submodules.chip = chip = ChipInstance(self.chip)
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        for name, member in chip_ports(self.chip).items():
            inner, outer = getattr(chip, name), getattr(self, NAMES.get(name, name))
            for signal, way in member.signature.members.items():
                source, sink = getattr(inner, signal), getattr(outer, signal)
                if way.flow is In:
                    source, sink = sink, source
                m.d.comb += sink.eq(_signed(source) if signal == "tdata" else source)
        return m


def _signed(word: Value) -> Value:
    return word.as_signed()
