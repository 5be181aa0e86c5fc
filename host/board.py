"""What a board has beside its chip: a step timer, a sensor, a flash for what was learned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vle.errors import DeviceError
from vle.host.checks import integers
from vle.host.transport import Transport

BASE, IDENTITY = 0x8000_0000, 0x564C4542  # "VLEB"
ADDRESS = {
    name: BASE + offset
    for name, offset in (
        *(("BOARD_ID", 0x00), ("SHELL_VERSION", 0x04), ("CLOCK_HZ", 0x08), ("DAMAGED", 0x0C)),
        *(("PERIOD", 0x10), ("TICKS", 0x14), ("OVERRUNS", 0x18)),
        *(("SENSOR_CTRL", 0x20), ("SENSOR_SHIFT", 0x24), ("SENSOR_KIND", 0x28)),
        *(("SENSOR_CHANNELS", 0x2C), ("SENSOR_OFFSET", 0x30), ("SENSOR_FRAMES", 0x34)),
        *(("FLASH_COMMAND", 0x40), ("FLASH_STATUS", 0x44)),
        *(("FLASH_SEQUENCE", 0x48), ("FLASH_WORDS", 0x4C)),
    )
}
PARTS = {"PERIOD": "step timer", "SENSOR_CTRL": "sensor", "FLASH_STATUS": "flash for parameters"}
KINDS = {0: "none", 1: "adc", 2: "microphone"}
SAVE, LOAD, FORGET = 1, 2, 3
BUSY, KEPT, FAILED, LOADED = 1, 2, 4, 8  # bits of FLASH_STATUS
ENABLE, FREEZE, BEGIN = 1, 2, 4  # bits of SENSOR_CTRL
SECONDS = 60.0  # for a flash: a sector takes up to 0.4 s, a page 3 ms


@dataclass(frozen=True)
class Kept:
    """What the flash holds of a chip.

    Parameters
    ----------
    sequence
        How many sets were saved up to this one; 0 where there is none.
    words
        Of a set.
    loaded
        Whether the chip was given them, at power-up or since.
    """

    sequence: int
    words: int
    loaded: bool


class Board:
    """Registers of a board, by the way to its chip.

    Parameters
    ----------
    transport
        That way.

    Raises
    ------
    DeviceError
        Where no board answers: a simulated chip without its link, say.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        got = self._read("BOARD_ID")
        if got != IDENTITY:
            text = f"must be 0x{IDENTITY:08x} on a board, not 0x{got:08x}"
            raise DeviceError(text, register="BOARD_ID", address=ADDRESS["BOARD_ID"])

    @property
    def clock_hz(self) -> int:
        """Clock of the chip; 0 where it is simulated."""
        return self._read("CLOCK_HZ")

    @property
    def damaged(self) -> int:
        """Frames of the link that came damaged to the device, modulo 2^16."""
        return self._read("DAMAGED")

    @property
    def period(self) -> int:
        """Clocks of a step; 0: frames are taken as they come."""
        return self._read("PERIOD")

    @period.setter
    def period(self, clocks: int) -> None:
        self._write("PERIOD", int(integers("period", clocks, (0, (1 << 32) - 1))))

    @property
    def ticks(self) -> int:
        """Ticks since the period was set."""
        return self._read("TICKS")

    @property
    def overruns(self) -> int:
        """Ticks of these at which no step began: no frame, or the last step was not done."""
        return self._read("OVERRUNS")

    @property
    def steps(self) -> int:
        """Steps that began at a tick since the period was set."""
        ticks, overruns = self._read_all("TICKS", "OVERRUNS")
        return ticks - overruns

    def sense(
        self,
        *,
        freeze: bool = False,
        begin: bool = False,
        channels: Sequence[int] | None = None,
        offset: int | None = None,
        shift: int | None = None,
    ) -> None:
        """Let frames come from the sensor from now on; `Device.listen` takes the answers.

        Parameters
        ----------
        freeze
            Whether a chip that learns updates nothing meanwhile.
        begin
            Whether the first frame begins a sequence.
        channels
            Of an ADC, one for each input; None: as they are.
        offset, shift
            An input word is `(sample - offset) * 2**shift`, rounded and clamped; None: as they are.
        """
        settings = {"SENSOR_OFFSET": offset, "SENSOR_SHIFT": shift}
        if channels is not None:
            chosen = integers("channels", np.asarray(channels), (0, 7))
            if chosen.shape != (count := self._read("SENSOR_KIND") >> 8,):
                raise ValueError(f"channels must be {count}, one for each input, not {channels!r}")
            settings["SENSOR_CHANNELS"] = sum(int(c) << 4 * k for k, c in enumerate(chosen))
        for name, word in settings.items():
            if word is not None:
                self._write(name, int(word) & 0xFFFFFFFF)
        self._write("SENSOR_CTRL", ENABLE | FREEZE * freeze | BEGIN * begin)

    @property
    def senses(self) -> bool:
        """Whether frames come from the sensor."""
        return bool(self._read("SENSOR_CTRL") & ENABLE)

    def listen_to_host(self) -> None:
        """Let frames come from the host again; answers to those of the sensor are dropped."""
        self._write("SENSOR_CTRL", 0)
        drop = getattr(self._transport, "drop", None)
        if drop is not None:  # of a link, which keeps them
            drop()

    @property
    def sensor(self) -> str:
        """Kind of sensor: ``adc`` or ``microphone``."""
        return KINDS.get(self._read("SENSOR_KIND") & 0xFF, "unknown")

    @property
    def sensed(self) -> int:
        """Frames that the sensor has made."""
        return self._read("SENSOR_FRAMES")

    @property
    def kept(self) -> Kept:
        """What the flash holds."""
        status = self._read("FLASH_STATUS")
        sequence = self._read("FLASH_SEQUENCE") if status & KEPT else 0
        return Kept(sequence, self._read("FLASH_WORDS"), bool(status & LOADED))

    def save(self) -> None:
        """Keep what the chip has learned; it is loaded at every power-up from now on.

        The chip is halted while its words are read. If the power goes meanwhile, the set before is
        still there.

        Raises
        ------
        DeviceError
            Where the flash has failed, or the chip did not become idle.
        """
        self._flash(SAVE, "save")

    def load(self) -> None:
        """Give the chip the words that were saved last.

        Raises
        ------
        DeviceError
            Where there are none, or the flash has failed.
        """
        self._flash(LOAD, "load")

    def forget(self) -> None:
        """Let the next power-up begin with the parameters of the bitstream.

        Raises
        ------
        DeviceError
            Where the flash has failed.
        """
        self._flash(FORGET, "forget")

    def _flash(self, command: int, name: str) -> None:
        self._idle()
        self._write("FLASH_COMMAND", command)
        if self._idle() & FAILED:
            text = f"failed to {name}"
            raise DeviceError(text, register="FLASH_STATUS", address=ADDRESS["FLASH_STATUS"])

    def _idle(self) -> int:
        """Wait for the flash, return its status."""
        deadline = time.monotonic() + SECONDS
        while (status := self._read("FLASH_STATUS")) & BUSY:
            if time.monotonic() > deadline:
                text = f"the flash is busy for more than {SECONDS:g} s"
                raise DeviceError(text, register="FLASH_STATUS", address=ADDRESS["FLASH_STATUS"])
        return status

    def _read(self, name: str) -> int:
        return self._read_all(name)[0]

    def _read_all(self, *names: str) -> list[int]:
        """Read registers at once, a few clocks apart."""
        try:
            return [int(word) for word in self._transport.read([ADDRESS[name] for name in names])]
        except DeviceError as error:
            raise self._missing(names[0], error) from None

    def _write(self, name: str, word: int) -> None:
        try:
            self._transport.write([ADDRESS[name]], [word])
        except DeviceError as error:
            raise self._missing(name, error) from None

    def _missing(self, name: str, error: DeviceError) -> DeviceError:
        """Say which part it is that the board has not."""
        group = name.split("_", maxsplit=1)[0]
        own = {"TICKS": "PERIOD", "OVERRUNS": "PERIOD"}.get(name, name)
        part = next(
            (what for key, what in PARTS.items() if key.startswith(group) or key == own), ""
        )
        if not part:
            return error
        return DeviceError(f"the board has no {part}", register=name, address=ADDRESS[name])
