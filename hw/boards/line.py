"""The line to a host: a UART, or an SPI whose master is a microcontroller."""

from __future__ import annotations

from amaranth.build import Platform
from amaranth.hdl import Module

from vle.compiler.planning.boards import Description
from vle.errors import CompileError
from vle.hw.boards.pins import request
from vle.hw.link.spi import SpiDevice
from vle.hw.link.uart import Uart


def line(
    m: Module, platform: Platform, description: Description, link: str, clock_hz: int
) -> Uart | SpiDevice:
    """Put a line behind its pins.

    Returns
    -------
    A component with streams of bytes `i` (to send) and `o`, and `error`.

    Raises
    ------
    CompileError
        Where the clock is too slow for the board's baud rate.
    """
    pins = request(m, platform, description, link)
    if link == "uart":
        try:
            m.submodules.line = uart = Uart(clock_hz, description.baud)
        except ValueError as error:
            raise CompileError(f"board {description.name}: {error}") from error
        m.d.comb += [uart.rx.eq(pins["rx"]), pins["tx"].eq(uart.tx)]
        return uart
    m.submodules.line = spi = SpiDevice()
    m.d.comb += [
        spi.sck.eq(pins["clk"]),
        spi.cs_n.eq(~pins["cs"]),
        spi.mosi.eq(pins["copi"]),
        pins["cipo"].eq(spi.miso),
        pins["cipo_enable"].eq(spi.miso_enable),
    ]
    return spi
