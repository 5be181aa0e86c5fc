"""The word bus by which a host reaches registers and memories."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

# Of memories whose words are never read, to any effect, in the clock in which they are written:
# without it yosys adds registers as wide as a word that keep up what nobody looks at.
APART = {"no_rw_check": 1}


class BusSignature(wiring.Signature):
    """A 32-bit bus addressed in words, one access at a time.

    `read` or `write` is held, with address and data, until `done`, which lasts one cycle.

    Parameters
    ----------
    address_width
        Bits of a word address.

    Members
    -------
    addr, read, write, w_data
        From the initiator.
    r_data, done, error
        From the target; `error` with `done`: nothing there, or the chip was not halted and idle.
    """

    def __init__(self, address_width: int):
        super().__init__(
            {
                "addr": Out(address_width),
                "read": Out(1),
                "write": Out(1),
                "w_data": Out(32),
                "r_data": In(32),
                "done": In(1),
                "error": In(1),
            }
        )


class AccessSignature(wiring.Signature):
    """What a memory sees of the bus, `active` while this addresses it, chip halted and idle.

    Parameters
    ----------
    address_width
        Bits of an address within the memory.

    Members
    -------
    active
        The memory's ports belong to the bus.
    address, w_data
        Standing during an access.
    write
        One cycle per word, while active.
    r_data
        The word, sign-extended; valid 5 cycles after the address, as long as that stands.
    """

    def __init__(self, address_width: int):
        super().__init__(
            {
                "active": Out(1),
                "address": Out(address_width),
                "write": Out(1),
                "w_data": Out(32),
                "r_data": In(32),
            }
        )
