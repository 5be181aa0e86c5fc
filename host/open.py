"""From an address such as `sim:build/` to a device."""

from __future__ import annotations

from pathlib import Path

from vle.errors import TransportError
from vle.host.bundle import Bundle
from vle.host.checks import instance
from vle.host.device import Device
from vle.host.verilated import VerilatedChip


def open_device(address: str) -> Device:
    """Open the chip at an address.

    Parameters
    ----------
    address
        ``sim:DIR``: the Verilog of the bundle in folder `DIR`, simulated in this process. The first
        time, Verilator builds it, which takes a while; the result is kept.

    Raises
    ------
    TypeError
        For anything but a string.
    TransportError
        Where the address is none, or there is no way to the chip.
    DeviceError
        Where the chip does not belong to the bundle.
    """
    instance("address", address, str)
    scheme, colon, rest = address.partition(":")
    if not colon or not rest:
        raise TransportError(f"address must be of the form sim:DIR, not {address!r}")
    if scheme != "sim":
        raise TransportError(f"address must begin with sim:, {scheme}: is not supported")
    bundle = Bundle.load(Path(rest))
    return Device(bundle, VerilatedChip(bundle.verilog))
