"""From an address such as `serial:/dev/ttyUSB0` to a device."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import numpy as np

from vle.cache import known_bundle, remember_bundle
from vle.errors import DeviceError, TransportError
from vle.host.bundle import Bundle
from vle.host.checks import instance
from vle.host.device import IDENTITY, Device
from vle.host.parameters import KINDS, Parameters
from vle.host.verilated import VerilatedChip

if TYPE_CHECKING:
    from vle.host.link.line import ByteStream
    from vle.host.link.requests import Registers

FORMS = "sim:DIR, axi:DIR, serial:PORT[?baud=N] or spi:/dev/spidevB.S[?hz=N]"
BAUD, HZ = 1_000_000, 1_000_000  # where neither address nor bundle says
ID_AT, HASH_AT = 0, 8


def open_device(
    address: str | ByteStream,
    *,
    bundle: str | os.PathLike[str] | None = None,
    clear: bool = True,
) -> Device:
    """Open the chip at an address.

    Parameters
    ----------
    address
        ``serial:PORT[?baud=N]``: a board at a serial port. ``spi:/dev/spidevB.S[?hz=N]``: one at an
        SPI of this machine. ``sim:DIR``: the Verilog of the bundle in folder `DIR`, simulated in
        this process behind the same link; the first time, Verilator builds it, which takes a while;
        the result is kept. ``axi:DIR``: likewise, but on the ports of the chip, whose clock cycles
        are counted. Or a `vle.host.link.line.ByteStream` of your own.
    bundle
        Folder of what the board was made from; None: it is looked up by the register `HASH` among
        those that were made on this machine, or used.
    clear
        Whether to put the state of the chip to 0; what was learned stays. False: steps under way
        are finished before, and their answers dropped.

    Raises
    ------
    TypeError
        For an address that is neither.
    TransportError
        Where the address is none, or there is no way to the chip.
    DeviceError
        Where the chip does not belong to the bundle.
    """
    if not isinstance(address, str):
        for method in ("write", "read", "close", "now"):
            if not hasattr(address, method):
                instance("address", address, str)
        return _linked(address, _loaded(bundle), clear=clear)
    scheme, colon, rest = address.partition(":")
    if not colon or not rest:
        raise TransportError(f"address must be of the form {FORMS}, not {address!r}")
    if scheme in ("sim", "axi"):
        if bundle is not None:
            raise ValueError(f"bundle must be None for {scheme}:DIR, which names it")
        return _simulated(Bundle.load(Path(rest)), axi=scheme == "axi", clear=clear)
    if scheme not in ("serial", "spi"):
        raise TransportError(f"address must be of the form {FORMS}; {scheme}: is not supported")
    given = _loaded(bundle)
    return _linked(_line(scheme, rest, given), given, clear=clear)


def _loaded(folder: str | os.PathLike[str] | None) -> Bundle | None:
    if folder is None:
        return None
    bundle = Bundle.load(Path(folder))
    remember_bundle(bundle.map.hash, bundle.folder)
    return bundle


def _simulated(bundle: Bundle, *, axi: bool, clear: bool) -> Device:
    top = bundle.file("top.v").decode()
    if axi:
        return Device(bundle, VerilatedChip(top))
    from vle.host.link.simulated_line import SimulatedLine  # noqa: PLC0415 - needs cobs

    return _linked(SimulatedLine(top, bundle.file("device.v").decode()), bundle, clear=clear)


def _line(scheme: str, rest: str, bundle: Bundle | None) -> ByteStream:
    path, _, query = rest.partition("?")
    if not path:
        raise TransportError(f"address must be of the form {FORMS}, not {scheme + ':' + rest!r}")
    if scheme == "spi":
        from vle.host.link.spi_line import spidev_line  # noqa: PLC0415 - see below

        return spidev_line(path, _number(query, "hz") or HZ)
    from vle.host.link.serial_line import SerialLine  # noqa: PLC0415 - needs pyserial

    board = {} if bundle is None else bundle.board
    return SerialLine(path, _number(query, "baud") or board.get("baud") or BAUD)


def _number(query: str, name: str) -> int | None:
    """Return the number of the one option that an address can have."""
    options = parse_qsl(query, keep_blank_values=True)
    if not options and not query:
        return None
    if len(options) != 1 or options[0][0] != name or not re.fullmatch("[0-9]+", options[0][1]):
        raise TransportError(f"after ? in an address must come {name}=N, not {query!r}")
    if not (found := int(options[0][1])):
        raise TransportError(f"{name} in an address must be above 0")
    return found


def _linked(line: ByteStream, bundle: Bundle | None, *, clear: bool) -> Device:
    """Begin a session on a line, which is closed again where it comes to nothing."""
    from vle.host.link.requests import Registers  # noqa: PLC0415 - needs cobs
    from vle.host.link.session import Session  # noqa: PLC0415 - likewise
    from vle.host.link.transport import LinkTransport  # noqa: PLC0415 - likewise

    try:
        session = Session(line, clear=clear)
        found = bundle or _looked_up(Registers(session))
        transport = LinkTransport.of(session, found)
        device = Device(found, transport)
        if not session.limits.cleared:
            device.chip.write("CTRL", 0)
            device.chip.until_idle()
            transport.drop()
        if found.board.get("weights_volatile"):
            _load_parameters(device)
    except BaseException:
        line.close()
        raise
    return device


def _looked_up(registers: Registers) -> Bundle:
    identity, design = (int(registers.read([at])[0]) for at in (ID_AT, HASH_AT))
    if identity != IDENTITY:
        text = f"must be 0x{IDENTITY:08x}, not 0x{identity:08x}"
        raise DeviceError(text, register="ID", address=ID_AT)
    folder = known_bundle(design)
    if folder is None or not folder.exists():
        raise TransportError(
            f"the device has a design of hash 0x{design:08x}, whose bundle is not known on this"
            " machine: it must be given as bundle=DIR"
        )
    return Bundle.load(folder)


def _load_parameters(device: Device) -> None:
    """Load what was compiled into a board whose memories are empty at power-up."""
    with np.load(io.BytesIO(device.bundle.file("params.npz"))) as compiled:
        words = []
        for index in range(len(device.bundle.layers)):
            kinds = [kind for kind in device.chip.kinds(index) if kind in KINDS]
            arrays = {kind: compiled[f"layer{index}.{kind}"].astype(np.int64) for kind in kinds}
            words.append(Parameters(**arrays))
    device.write_parameters(words)
