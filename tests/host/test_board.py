"""Registers of a board, from the host: the addresses of the circuit, one clear line for errors."""

from __future__ import annotations

import numpy as np
import pytest

from vle.compiler.circuit import board_registers as ours
from vle.errors import DeviceError
from vle.host import board
from vle.host.board import Board, Kept


class Registers:
    """A board whose flash is busy for a while, with some of its parts."""

    def __init__(self, *missing: str, identity: int = board.IDENTITY, fails: bool = False) -> None:
        self.words = {a: 0 for n, a in board.ADDRESS.items() if not n.startswith(missing or ("-",))}
        self.words[board.ADDRESS["BOARD_ID"]] = identity
        self.words[board.ADDRESS["SENSOR_KIND"]] = 1 | 3 << 8
        self.busy, self.fails, self.commands = 0, fails, []

    def read(self, addresses):
        for address in addresses:
            if address not in self.words:
                raise DeviceError("was refused", address=address)
        if address == board.ADDRESS["FLASH_STATUS"]:
            self.busy = max(0, self.busy - 1)
            return np.array([bool(self.busy) | self.words[address]], np.uint32)
        return np.array([self.words[address] for address in addresses], np.uint32)

    def write(self, addresses, data):
        [address], [word] = addresses, data
        if address not in self.words:
            raise DeviceError("was refused", address=address)
        self.words[address] = word
        if address == board.ADDRESS["FLASH_COMMAND"]:
            self.commands.append(word)
            self.busy = 3
            kept = board.KEPT * (word != board.FORGET)
            self.words[board.ADDRESS["FLASH_STATUS"]] = kept | board.FAILED * self.fails
            self.words[board.ADDRESS["FLASH_SEQUENCE"]] += word == board.SAVE


def test_addresses_are_those_of_the_circuit():
    assert {r.name: 4 * r.address for r in ours.BOARD_REGISTERS} == board.ADDRESS
    assert board.IDENTITY == ours.BOARD_ID
    assert {value: name for name, value in ours.SENSORS.items()} == board.KINDS
    assert ours.COMMANDS == {"save": board.SAVE, "load": board.LOAD, "forget": board.FORGET}
    bits = (board.BUSY, board.KEPT, board.FAILED, board.LOADED)
    assert bits == tuple(
        1 << ours.FLASH_STATUS.index(n) for n in ("busy", "kept", "failed", "loaded")
    )
    control = ours.board_register("SENSOR_CTRL").bits
    assert tuple(1 << control.index(n) for n in ("enable", "freeze", "begin")) == (
        board.ENABLE,
        board.FREEZE,
        board.BEGIN,
    )


def test_what_is_kept():
    registers = Registers()
    device = Board(registers)
    assert device.kept == Kept(0, 0, False)
    device.save()
    device.save()
    assert device.kept == Kept(2, 0, False)
    device.load()
    device.forget()
    assert registers.commands == [1, 1, 2, 3]
    assert device.kept.sequence == 0


def test_time_and_sensor():
    registers = Registers()
    device = Board(registers)
    device.period = 250_000
    assert (device.period, device.ticks, device.overruns) == (250_000, 0, 0)
    registers.words[board.ADDRESS["TICKS"]] = 9
    registers.words[board.ADDRESS["OVERRUNS"]] = 2
    assert device.steps == 7
    device.sense(channels=(1, 2, 5), offset=-3, shift=-4, freeze=True)
    words = registers.words
    assert words[board.ADDRESS["SENSOR_CHANNELS"]] == 0x521
    assert words[board.ADDRESS["SENSOR_OFFSET"]] == 0xFFFFFFFD
    assert words[board.ADDRESS["SENSOR_SHIFT"]] == 0xFFFFFFFC
    assert words[board.ADDRESS["SENSOR_CTRL"]] == 3
    assert device.sensor == "adc"
    device.listen_to_host()
    assert words[board.ADDRESS["SENSOR_CTRL"]] == 0


def test_answers_to_frames_of_the_sensor_are_dropped_with_it():
    registers, order = Registers(), []
    registers.drop = lambda: order.append(registers.words[board.ADDRESS["SENSOR_CTRL"]])
    device = Board(registers)
    device.sense()
    assert order == []
    device.listen_to_host()
    assert order == [0]


@pytest.mark.parametrize(
    ("missing", "use", "says"),
    [
        ("FLASH", lambda b: b.save(), "the board has no flash for parameters"),
        ("SENSOR", lambda b: b.sense(), "the board has no sensor"),
        ("PERIOD", lambda b: b.period, "the board has no step timer"),
    ],
)
def test_parts_that_are_missing_are_named(missing, use, says):
    with pytest.raises(DeviceError, match=says):
        use(Board(Registers(missing)))


def test_errors_are_one_clear_line():
    with pytest.raises(DeviceError, match="must be 0x564c4542 on a board"):
        Board(Registers(identity=0x564C4531))
    with pytest.raises(DeviceError, match="failed to save"):
        Board(Registers(fails=True)).save()
    with pytest.raises(ValueError, match="channels must be 3, one for each input"):
        Board(Registers()).sense(channels=(1, 2))
    with pytest.raises(ValueError, match="period"):
        Board(Registers()).period = -1
