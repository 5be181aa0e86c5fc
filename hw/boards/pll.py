"""PLLs of the families, from the settings that `vle.compiler.planning.pll` computes."""

from __future__ import annotations

from functools import singledispatch

from amaranth.hdl import Const, Instance, Signal

from vle.compiler.planning.pll import Ecp5Pll, GowinPll, Ice40Pll

MHZ = 1e6


@singledispatch
def instance(pll, pin, clk: Signal, locked: Signal, device: str) -> Instance:
    """Return the instance that drives `clk` and `locked`.

    Parameters
    ----------
    pll
        Its setting.
    pin
        Signal of the crystal; on iCE40 the pin itself, which is the PLL's own.
    clk, locked
        What it drives.
    device
        Name of the FPGA.
    """
    raise TypeError(f"pll must be a setting of a PLL, not {pll!r}")


@instance.register
def _(pll: Ecp5Pll, pin, clk: Signal, locked: Signal, device: str) -> Instance:
    compared = Signal(name="pll_compared")
    return Instance(
        "EHXPLLL",
        p_CLKI_DIV=pll.input_divider,
        p_CLKFB_DIV=1,
        p_CLKOP_DIV=pll.vco_factor,
        p_CLKOP_CPHASE=pll.vco_factor - 1,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOS_DIV=pll.output_divider,
        p_CLKOS_CPHASE=pll.output_divider - 1,
        p_CLKOS_ENABLE="ENABLED",
        p_FEEDBK_PATH="CLKOP",
        a_FREQUENCY_PIN_CLKI=f"{pll.reference_hz / MHZ:g}",
        a_FREQUENCY_PIN_CLKOS=f"{float(pll.hz) / MHZ:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        i_CLKI=pin,
        i_CLKFB=compared,
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PHASESEL0=Const(0),
        i_PHASESEL1=Const(0),
        i_PHASEDIR=Const(1),
        i_PHASESTEP=Const(1),
        i_PHASELOADREG=Const(1),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_ENCLKOS=Const(0),
        o_CLKOP=compared,
        o_CLKOS=clk,
        o_LOCK=locked,
    )


@instance.register
def _(pll: Ice40Pll, pin, clk: Signal, locked: Signal, device: str) -> Instance:
    return Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=Const(pll.divr, 4),
        p_DIVF=Const(pll.divf, 7),
        p_DIVQ=Const(pll.divq, 3),
        p_FILTER_RANGE=Const(pll.filter_range, 3),
        i_PACKAGEPIN=pin,
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=clk,
        o_LOCK=locked,
    )


@instance.register
def _(pll: GowinPll, pin, clk: Signal, locked: Signal, device: str) -> Instance:
    return Instance(
        "rPLL",
        p_DEVICE=device,
        p_FCLKIN=f"{pll.reference_hz / MHZ:g}",
        p_IDIV_SEL=pll.input,
        p_FBDIV_SEL=pll.feedback,
        p_ODIV_SEL=pll.divider,
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        p_PSDA_SEL="0000",
        p_DUTYDA_SEL="1000",
        p_DYN_SDIV_SEL=2,
        p_CLKFB_SEL="internal",
        p_CLKOUT_BYPASS="false",
        p_CLKOUTP_BYPASS="false",
        p_CLKOUTD_BYPASS="false",
        i_CLKIN=pin,
        i_CLKFB=Const(0),
        i_RESET=Const(0),
        i_RESET_P=Const(0),
        i_FBDSEL=Const(0, 6),
        i_IDSEL=Const(0, 6),
        i_ODSEL=Const(0, 6),
        i_PSDA=Const(0, 4),
        i_DUTYDA=Const(0, 4),
        i_FDLY=Const(0, 4),
        o_CLKOUT=clk,
        o_LOCK=locked,
    )
