"""The Verilog of a chip: one file that stands alone, and what goes around it."""

from __future__ import annotations

import os

from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.link import LinkSpec
from vle.hw.ports import ChipInstance, flat_ports
from vle.hw.shell import Shell
from vle.hw.soc import Soc
from vle.hw.top import Top


def generate(chip: ChipSpec, *, trace: bool = False) -> str:
    """Verilog of module `top`, memories initialised with the parameters.

    The same chip gives the same text, character for character.

    Parameters
    ----------
    chip
        Network and folding.
    trace
        Whether each engine gets a port that shows every neuron's new `u` and `r`.

    Returns
    -------
    str
        Ports `clk`, `rst` (active high, synchronous), `s_axis_*`, `m_axis_*`, `s_axil_*`, and
        `trace_<engine>_*` where asked for.
    """
    return _text(Top(chip, trace=trace), "top")


def generate_device(chip: ChipSpec) -> str:
    """Verilog of module `device`: the link of a board around module `top`, without its line.

    Returns
    -------
    str
        Ports `clk`, `rst` (active high, synchronous), and bytes on `s_byte_*` and `m_byte_*`:
        `tdata`, `tvalid`, `tready`.
    """
    return _text(Device(chip), "device")


def generate_soc(chip: ChipSpec) -> str:
    """Verilog of module `vle_soc`: module `top` under the names that SoC FPGAs expect.

    Returns
    -------
    str
        Ports `aclk`, `aresetn`, `s_axi_*`, `s_axis_*`, `m_axis_*`, and of a chip that learns
        `s_axis_target_*`, `m_axis_probe_*`; TDATA of 32 bits.
    """
    return _text(Soc(chip), "vle_soc")


class Device(wiring.Component):
    """A shell whose line is two AXI4-Streams of bytes.

    Parameters
    ----------
    chip
        Whose `top.v` it is for.

    Members
    -------
    s_byte, m_byte
        From the host, to the host.
    """

    def __init__(self, chip: ChipSpec) -> None:
        self.chip = chip
        byte = wiring.Signature({"tdata": Out(8), "tvalid": Out(1), "tready": In(1)})
        super().__init__({"s_byte": In(byte), "m_byte": Out(byte)})

    def elaborate(self, platform) -> Module:
        m = Module()
        shell = Shell(ChipInstance(self.chip), LinkSpec.of_chip(self.chip))
        m.submodules.shell = shell
        m.d.comb += [
            shell.i.payload.eq(self.s_byte.tdata),
            shell.i.valid.eq(self.s_byte.tvalid),
            self.s_byte.tready.eq(shell.i.ready),
            self.m_byte.tdata.eq(shell.o.payload),
            self.m_byte.tvalid.eq(shell.o.valid),
            shell.o.ready.eq(self.m_byte.tready),
        ]
        return m


def _text(component: wiring.Component, name: str) -> str:
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")  # a yosys on the PATH may be too old
    ports = flat_ports(component)
    return str(
        verilog.convert(
            component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True
        )
    )
