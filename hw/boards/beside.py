"""What a board has beside the chip and its link: a step timer, a sensor, a flash that keeps."""

from __future__ import annotations

from math import ceil

from amaranth.build import Platform
from amaranth.hdl import Const, Instance, Module
from amaranth.lib import wiring

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.planning.build import MICROPHONE, BuildOptions
from vle.errors import CompileError
from vle.hw.boards.button import Button
from vle.hw.boards.pins import request
from vle.hw.standalone.parts import Adc, Flash, Microphone, Parts
from vle.hw.standalone.standalone import Standalone

# READ (0x03) allows 33 MHz and more; what is left of a period is for the way there and back
FLASH_HZ = 25_000_000


def beside(
    m: Module, platform: Platform, chip: ChipSpec, options: BuildOptions, clock_hz: int
) -> Standalone | None:
    """Return what was asked for, behind its pins; None where nothing was.

    Parameters
    ----------
    options
        Whose `step_s` a step of the timer takes from power-up on; with a sensor, its samples are
        the frames.

    Raises
    ------
    CompileError
        For a sensor that has not as many samples as the network inputs, and for a step that the
        timer cannot count.
    """
    if not (options.timer or options.sensor or options.keep):
        return None
    try:
        standalone = Standalone(chip, _parts(chip, options, clock_hz))
    except ValueError as error:
        raise CompileError(f"board {options.board.name}: {error}") from error
    if options.sensor:
        role = "i2s" if options.sensor == MICROPHONE else "adc"
        _connect(m, platform, options, role, standalone.sensor)
    if options.keep:
        _connect(m, platform, options, "flash", standalone.flash)
    if options.keep and "button" in options.board.ports:
        m.submodules.button = button = Button(clock_hz)
        pins = request(m, platform, options.board, "button")
        m.d.comb += [button.pin.eq(pins["save"]), standalone.save.eq(button.pressed)]
    return standalone


def _parts(chip: ChipSpec, options: BuildOptions, clock_hz: int) -> Parts:
    timed = options.timer or bool(options.sensor)
    period = round(options.step_s * clock_hz) if timed else 0
    if timed and not period:
        raise ValueError(f"a step must be a clock at least, not {options.step_s:g} s")
    return Parts(
        clock_hz,
        timer=timed,
        sensor=_sensor(options.sensor, chip.network.layers[0].inputs),
        flash=_flash(options, clock_hz) if options.keep else None,
        period=period,
        sensing=bool(options.sensor),
    )


def _flash(options: BuildOptions, clock_hz: int) -> Flash:
    half_period = max(1, ceil(clock_hz / (2 * FLASH_HZ)))
    board = options.board
    return Flash(board.flash_base, board.flash_size, half_period=half_period)


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
        if name not in pins:
            if (role, name, options.board.chip.family) != ("flash", "clk", "ecp5"):
                raise CompileError(f"board {options.board.name}: {role} must have a pin {name}")
            # the clock of an ECP5's flash has a pin of its own kind
            m.submodules.usrmclk = Instance("USRMCLK", i_USRMCLKI=pad, i_USRMCLKTS=Const(0))
        elif member.flow is wiring.In:
            m.d.comb += pad.eq(pins[name])
        else:
            m.d.comb += pins[name].eq(~pad if name == "cs" else pad)
