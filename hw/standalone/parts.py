"""What a board has beside chip and link, as data."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.circuit.board_registers import CHANNELS, SENSORS


@dataclass(frozen=True)
class AdcChip:
    """How an ADC is asked over SPI, mode 0, most significant bit first.

    Parameters
    ----------
    bits
        Of a sample, the last ones of a transfer.
    length
        Clocks of a transfer.
    command, place
        Word of a transfer, and the bit from which on it holds the channel.
    clock_hz
        Of SCK, at most, at the supply of the board (3.3 V).
    setup_ns, apart_ns
        From CS to the first rising edge, and of CS high between two transfers, at least.
    times
        Transfers for each sample, of which the last one counts.
    tagged
        Whether the 4 bits before a sample are the number of its channel.

    References
    ----------
    Microchip DS21295 (MCP3004/3008) and DS21298 (MCP3204/3208), section 5; Maxim 19-5955
    (MAX11120 to MAX11128), table of the mode control register.
    """

    bits: int
    length: int
    command: int
    place: int
    clock_hz: int
    setup_ns: int
    apart_ns: int
    times: int = 1
    tagged: bool = False


ADCS = {
    # 7 zeros, start bit, single-ended, channel; the answer in the last 10 bits
    "mcp3008": AdcChip(10, 24, 0b11 << 15, 12, 1_350_000, 100, 270),
    # 5 zeros, start bit, single-ended, channel
    "mcp3208": AdcChip(12, 24, 0b11 << 17, 14, 1_000_000, 100, 500),
    # manual scan, number of the channel before the sample; a sample comes one or two later
    "max11125": AdcChip(12, 16, 1 << 11 | 1 << 2, 7, 8_000_000, 20, 20, times=3, tagged=True),
}


@dataclass(frozen=True)
class Adc:
    """A sensor: channels of an ADC, one for each input of the network.

    Parameters
    ----------
    chip
        One of `ADCS`.
    channels
        To begin with; register `SENSOR_CHANNELS` holds 4 bits of each.
    offset, shift
        To begin with, see `vle.hw.standalone.scaler`; `shift` None: samples fill a word.
    """

    chip: str
    channels: tuple[int, ...]
    offset: int = 0
    shift: int | None = None

    kind = SENSORS["adc"]

    def __post_init__(self) -> None:
        if self.chip not in ADCS:
            raise ValueError(f"chip of an ADC must be one of {', '.join(ADCS)}, not {self.chip!r}")
        if not 1 <= len(self.channels) <= CHANNELS:
            raise ValueError(f"channels must be 1 to {CHANNELS}, not {len(self.channels)}")
        if not all(0 <= channel < CHANNELS for channel in self.channels):
            raise ValueError(f"channels must be 0 to {CHANNELS - 1}, not {self.channels}")

    @property
    def words(self) -> int:
        """Samples of a frame."""
        return len(self.channels)

    @property
    def sample_width(self) -> int:
        """Bits of a sample, which is signed here."""
        return ADCS[self.chip].bits + 1


@dataclass(frozen=True)
class Microphone:
    """A sensor: an I2S microphone, or two on one line.

    Parameters
    ----------
    sides
        1: the left one; 2: left, then right.
    clock_hz
        Of SCK, at most; a sample is 64 clocks.
    offset, shift
        As of `Adc`.

    References
    ----------
    InvenSense DS-INMP441-00; SCK 0.5 to 3.2 MHz.
    """

    sides: int = 1
    clock_hz: int = 3_072_000
    offset: int = 0
    shift: int | None = None

    kind = SENSORS["microphone"]
    sample_width = 24

    def __post_init__(self) -> None:
        if self.sides not in (1, 2):
            raise ValueError(f"sides must be 1 or 2, not {self.sides!r}")

    @property
    def words(self) -> int:
        """Samples of a frame."""
        return self.sides


# of a flash, at most: a sector of a W25Q, IS25LP or GD25Q is erased in 0.4 s; the rest is reserve
BUSY_S = 1.0


@dataclass(frozen=True)
class Flash:
    """Where in the board's flash learned parameters are kept: two sets, one after the other.

    Parameters
    ----------
    base
        Byte address, at the beginning of a sector; behind the bitstream.
    size
        Bytes of the flash.
    sector, page
        Bytes erased and programmed at once.
    half_period
        Clocks of half a period of SCK.
    busy_s
        Seconds for which it may be busy at most: the longest time of an erase.
    """

    base: int
    size: int = 1 << 24
    sector: int = 4096
    page: int = 256
    half_period: int = 1
    busy_s: float = BUSY_S

    def __post_init__(self) -> None:
        if self.base % self.sector or not 0 <= self.base < self.size:
            raise ValueError(
                f"base must begin a sector of {self.sector} bytes, not 0x{self.base:x}"
            )
        if self.half_period < 1:
            raise ValueError(f"half_period must be at least 1 clock, not {self.half_period!r}")
        if not 0 < self.busy_s < 60:
            raise ValueError(f"busy_s must be above 0 and below 60 s, not {self.busy_s!r}")


@dataclass(frozen=True)
class Parts:
    """What stands between link and chip.

    Parameters
    ----------
    clock_hz
        Of the design.
    timer
        Whether a step timer ties steps to wall time.
    sensor, flash
        What there is of them.
    period
        Clocks of a step from power-up on; 0: frames as they come.
    sensing
        Whether frames come from the sensor from power-up on.
    """

    clock_hz: int
    timer: bool = True
    sensor: Adc | Microphone | None = None
    flash: Flash | None = None
    period: int = 0
    sensing: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.period < 1 << 32:
            raise ValueError(f"period must fit in 32 bits, not {self.period!r}")
        if (self.sensing and self.sensor is None) or (self.period and not self.timer):
            raise ValueError("parts must have the sensor and the timer that they are to use")
        if self.sensor is not None and not self.timer:
            raise ValueError("a sensor must have a step timer: it says when samples are taken")
