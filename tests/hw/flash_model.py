"""A NOR flash on SPI: bits only fall until a sector is erased, and both take their time."""

from __future__ import annotations

import random

COMMANDS = {
    0x02: "program",
    0x03: "read",
    0x05: "status",
    0x06: "enable",
    0x20: "erase",
    0xAB: "wake",
}


class FlashModel:
    """What a W25Q does with the commands that the store knows, and what it cannot bear.

    Parameters
    ----------
    content
        Bytes; they change.
    page, sector
        Bytes.
    asleep
        Whether it must be woken first.
    busy
        How often it says that it is still busy with what was asked of it before.
    slow
        Commands that it never gets done.

    Attributes
    ----------
    changes
        What has changed the content, in its order: `("erase", address, size)` and
        `("program", address, byte)`.
    """

    def __init__(self, content, *, page=256, sector=4096, asleep=True, busy=0, slow=()) -> None:
        self.content, self.page, self.sector, self.asleep = content, page, sector, asleep
        self.changes, self.enabled, self.busy, self.bits, self.told = [], False, busy, [], []
        self.slow = slow
        self.reads = 0

    async def __call__(self, ctx, pads):
        cs, clk = 1, 0
        async for _, _, cs1, clk1, copi in ctx.tick().sample(pads.cs, pads.clk, pads.copi):
            if cs and not cs1:
                assert not clk1, "the clock must rest low"
                self.bits, self.heard = [], 0
            if not cs1 and clk1 and not clk:
                self.bits.append(copi)
            if not cs1 and clk and not clk1:
                ctx.set(pads.cipo, self.answer())
            if not cs and cs1:
                self.ended()
            cs, clk = cs1, clk1

    def _byte(self, place: int) -> int:
        return int("".join(map(str, self.bits[8 * place : 8 * place + 8])), 2)

    def _address(self) -> int:
        return self._byte(1) << 16 | self._byte(2) << 8 | self._byte(3)

    def answer(self) -> int:
        """Say what to drive after a falling edge."""
        count = len(self.bits)
        if count < 8:
            return 1
        name = COMMANDS[self._byte(0)]
        if name == "status":
            if count % 8 == 0:
                self.status = int(self.busy > 0) | self.enabled << 1
                self.busy = max(0, self.busy - 1)
            return self.status >> 7 - count % 8 & 1
        if name == "read" and count >= 32:
            assert not self.busy, "read while busy"
            assert not self.asleep, "read while asleep"
            byte = self.content[(self._address() + (count - 32) // 8) % len(self.content)]
            self.reads += count % 8 == 0
            return byte >> 7 - count % 8 & 1
        return 1

    def ended(self) -> None:
        """Do what was asked when the flash is deselected."""
        count = len(self.bits)
        assert count % 8 == 0, "not whole bytes"
        name = COMMANDS[self._byte(0)]
        if name == "wake":
            self.asleep = self.asleep and bool(self.busy)  # heard only where it is not busy
        elif self.asleep or name in ("status", "read"):
            assert not self.asleep
        elif name == "enable":
            assert not self.busy
            self.enabled = True
        else:
            assert not self.busy, f"{name} while busy"
            assert self.enabled, f"{name} without write enable"
            self.enabled, self.busy = False, 1 << 30 if name in self.slow else 2
            self._change(name, count // 8)

    def _change(self, name: str, count: int) -> None:
        address = self._address()
        if name == "erase":
            assert count == 4
            self.apply(("erase", address - address % self.sector, self.sector))
            return
        assert 4 < count <= 4 + self.page
        for k in range(count - 4):
            assert address % self.page + k < self.page, "beyond the page"
            self.apply(("program", address + k, self._byte(4 + k)))

    def apply(self, change) -> None:
        self.changes.append(change)
        applied(self.content, change)


def applied(content: bytearray, change) -> None:
    """Change a content as a flash does."""
    name, address, data = change
    if name == "erase":
        content[address : address + data] = b"\xff" * data
    else:
        content[address] &= data


def cut(content: bytes, changes, at: int, rng: random.Random) -> bytearray:
    """Return what is left where the power goes away during change `at`: done in part.

    Of a sector some bits are erased, of a byte some bits programmed; bytes of a page that come
    later in the same transfer may have been programmed in part, too.
    """
    left = bytearray(content)
    for change in changes[:at]:
        applied(left, change)
    if at == len(changes):
        return left
    name, address, data = changes[at]
    if name == "erase":
        kind = rng.randrange(3)
        for k in range(address, address + data):
            left[k] |= (rng.getrandbits(8), 0xFF * (k % 2), 0xFF * (rng.random() < 0.9))[kind]
        return left
    for name, address, data in changes[at : at + rng.randrange(1, 33)]:
        if name == "erase" or rng.random() < 0.2:
            break
        left[address] &= data | rng.getrandbits(8)
    return left
