"""Whose frames a chip takes: those of its host, or of its sensor."""

from __future__ import annotations

from vle.errors import DeviceError
from vle.host.board import ADDRESS, Board
from vle.host.transport import Transport


class Source:
    """Where the frames of a chip come from.

    Parameters
    ----------
    transport
        The way to it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._board: Board | None = None
        self._may_be = True  # until it is known that there is no sensor

    @property
    def is_sensor(self) -> bool:
        """Whether they come from a sensor; one that is not there is asked for once."""
        if not self._may_be:
            return False
        try:
            self._board = self._board or Board(self._transport)
            return self._board.senses
        except DeviceError:
            self._may_be = False
            return False

    def must_be_host(self) -> None:
        """Refuse what needs answers to frames of the host.

        Raises
        ------
        DeviceError
            Where the sensor is the source.
        """
        if self.is_sensor:
            rule = "the sensor is the source of the frames: board.listen_to_host() must come first"
            raise DeviceError(rule, register="SENSOR_CTRL", address=ADDRESS["SENSOR_CTRL"])

    def must_be_sensor(self) -> None:
        """Refuse what needs answers to frames of the sensor.

        Raises
        ------
        DeviceError
            Where the host is the source, or there is no sensor.
        """
        if not self.is_sensor:
            rule = "the host is the source of the frames: board.sense() must come first"
            raise DeviceError(rule, register="SENSOR_CTRL", address=ADDRESS["SENSOR_CTRL"])
