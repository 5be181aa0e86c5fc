"""What a board has beside the chip and its link: a step timer, a sensor, a flash that keeps."""

from __future__ import annotations

from amaranth.build import Platform
from amaranth.hdl import Const, Instance, Module
from amaranth.lib import wiring

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.build import MICROPHONE, BuildOptions
from vle.hw.boards.pins import request
from vle.hw.standalone.parts import Adc, Flash, Microphone, Parts
from vle.hw.standalone.standalone import Standalone


def beside(
    m: Module, platform: Platform, chip: ChipSpec, options: BuildOptions, clock_hz: int
) -> Standalone | None:
    """Return what was asked for, behind its pins; None where nothing was.

    Parameters
    ----------
    options
        Whose `step_s` a step of the timer takes from power-up on; with a sensor, its samples are
        the frames.
    """
    if not (options.timer or options.sensor or options.keep):
        return None
    timed = options.timer or bool(options.sensor)
    parts = Parts(
        clock_hz,
        timer=timed,
        sensor=_sensor(options.sensor, chip.network.layers[0].inputs),
        flash=Flash(options.board.flash_base) if options.keep else None,
        period=round(options.step_s * clock_hz) if timed else 0,
        sensing=bool(options.sensor),
    )
    standalone = Standalone(chip, parts)
    if options.sensor:
        role = "i2s" if options.sensor == MICROPHONE else "adc"
        _connect(m, platform, options, role, standalone.sensor)
    if options.keep:
        _connect(m, platform, options, "flash", standalone.flash)
    return standalone


def _sensor(name: str, inputs: int) -> Adc | Microphone | None:
    if not name:
        return None
    return Microphone(inputs) if name == MICROPHONE else Adc(name, tuple(range(inputs)))


def _connect(
    m: Module,
    platform: Platform,
    options: BuildOptions,
    role: str,
    pads: wiring.PureInterface,
) -> None:
    """Connect pads to pins; a select is low when active in both, but `request` turns it round."""
    pins = request(m, platform, options.board, role)
    for name, member in pads.signature.members.items():
        pad = getattr(pads, name)
        if name not in pins:  # the clock of an ECP5's flash has a pin of its own kind
            m.submodules.usrmclk = Instance("USRMCLK", i_USRMCLKI=pad, i_USRMCLKTS=Const(0))
        elif member.flow is wiring.In:
            m.d.comb += pad.eq(pins[name])
        else:
            m.d.comb += pins[name].eq(~pad if name == "cs" else pad)
