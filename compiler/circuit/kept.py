"""What a board keeps in its flash of a chip: which words, and how a set of them lies there."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import RegisterMap, register_map

MAGIC = 0x50454C56  # "VLEP"
HEADER = 20  # bytes: magic, hash, words, sequence, CRC
CHECKED = 16  # of these, those that the CRC is of
WORD = 4  # bytes
KINDS = (
    *("weight", "scale", "bias", "alpha", "rho", "table_value", "table_delta"),
    *("kappa", "beta", "log_m", "log_r"),
)
REGISTERS = ("EXPONENT[", "NOISE[")


class Found(NamedTuple):
    """A set that was read: its number, its words."""

    sequence: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Kept:
    """Words of a chip that a reset input keeps, and the layout of a set of them in a flash.

    A set is a header of 20 bytes, numbers of 4 bytes each, lowest byte first, and from the second
    page on the words, likewise. The CRC is that of zlib over the header before it and the words. A
    set is one of this chip where magic, hash, number of words and CRC are right; of two, that with
    the higher sequence counts.

    Parameters
    ----------
    hash
        Of the chip.
    ranges
        Word addresses: first, and number.
    page, sector
        Bytes of the flash that are programmed, and erased, at once.
    """

    hash: int
    ranges: tuple[tuple[int, int], ...]
    page: int = 256
    sector: int = 4096

    def __post_init__(self) -> None:
        if self.page < HEADER or self.page % WORD or self.sector % self.page:
            raise ValueError(f"page must hold {HEADER} bytes and divide a sector, not {self.page}")
        if not self.ranges or min(count for _, count in self.ranges) < 1:
            raise ValueError("ranges must be of at least a word each, and one at least")

    @classmethod
    def of_chip(cls, chip: ChipSpec, *, page: int = 256, sector: int = 4096) -> Kept:
        """Return what is kept of a chip: parameters, exponents and draws."""
        found = register_map(chip)
        return cls(found.hash, _joined(_ranges(found)), page, sector)

    @property
    def words(self) -> int:
        """Words of a set."""
        return sum(count for _, count in self.ranges)

    @property
    def slot(self) -> int:
        """Bytes of a set in the flash, whole sectors."""
        return -(-(self.page + WORD * self.words) // self.sector) * self.sector

    @property
    def addresses(self) -> tuple[int, ...]:
        """Word addresses in the order of the words."""
        return tuple(a for base, count in self.ranges for a in range(base, base + count))

    @property
    def constant(self) -> bytes:
        """The part of the header that all sets of this chip have."""
        return b"".join(_bytes(word) for word in (MAGIC, self.hash, self.words))

    def image(self, words: Sequence[int], sequence: int) -> bytes:
        """Return a set as it lies in the flash.

        Raises
        ------
        ValueError
            For another number of words.
        """
        if len(words) != self.words:
            raise ValueError(f"words must be {self.words}, not {len(words)}")
        head, data = self.constant + _bytes(sequence), b"".join(map(_bytes, words))
        header = head + _bytes(zlib.crc32(head + data))
        return header.ljust(self.page, b"\xff") + data

    def read(self, image: bytes) -> Found | None:
        """Return the set in a slot; None: there is none of this chip, or it is not whole."""
        head, data = image[:CHECKED], image[self.page : self.page + WORD * self.words]
        crc = int.from_bytes(image[CHECKED:HEADER], "little")
        if head[: len(self.constant)] != self.constant or zlib.crc32(head + data) != crc:
            return None
        words = (data[at : at + WORD] for at in range(0, len(data), WORD))
        return Found(int.from_bytes(head[-WORD:], "little"), tuple(map(_number, words)))

    def newest(self, flash: bytes, base: int = 0) -> Found | None:
        """Return the newer of the two sets in a flash, if there is any."""
        slots = (flash[at : at + self.slot] for at in (base, base + self.slot))
        found = [taken for taken in map(self.read, slots) if taken is not None]
        return max(found, key=lambda taken: taken.sequence, default=None)


def _ranges(found: RegisterMap) -> list[tuple[int, int]]:
    """Return windows and registers, by address; layers may share a table."""
    ranges = {(w.base, w.count) for w in found.windows if w.kind in KINDS}
    ranges |= {(r.address, 1) for r in found.registers if r.name.startswith(REGISTERS)}
    return sorted(ranges)


def _joined(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join ranges that follow each other."""
    joined: list[tuple[int, int]] = []
    for base, count in ranges:
        if joined and sum(joined[-1]) == base:
            joined[-1] = (joined[-1][0], joined[-1][1] + count)
        else:
            joined.append((base, count))
    return tuple(joined)


def _bytes(word: int) -> bytes:
    return (word & 0xFFFFFFFF).to_bytes(WORD, "little")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
