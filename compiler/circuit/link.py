"""Sizes of a link: frames, slots, and the bytes of the words that it carries."""

from __future__ import annotations

from dataclasses import dataclass

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.targets import target_spec

VERSION = 1
HEADER, CHECK = 4, 4  # bytes before and behind a payload
PAYLOADS = (120, 240)  # with which a slot fills 128 or 256 bytes
SLOTS = (2, 4, 8)
LENGTH, BEGIN = 1, 2  # places in a slot: the end of the payload; its begin, so that the words of
# requests lie at multiples of 4
PROBE_BYTES = 8  # the word, TUSER


@dataclass(frozen=True)
class LinkSpec:
    """What travels over a link, and how much of it waits at the device.

    Parameters
    ----------
    inputs, outputs
        Words of a frame; a target has as many as an output.
    input_width, output_width, target_width
        Bits of a word; a chip that does not learn has targets of 0 bits.
    payload_max
        Bytes of a payload, 120 or 240.
    slots
        Stream frames kept, each way.
    """

    inputs: int
    outputs: int
    input_width: int
    output_width: int
    target_width: int = 0
    payload_max: int = 240
    slots: int = 8

    def __post_init__(self) -> None:
        for name, known in (("payload_max", PAYLOADS), ("slots", SLOTS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        for name in ("inputs", "outputs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        for name, least in (("input_width", 1), ("output_width", 1), ("target_width", 0)):
            if not least <= getattr(self, name) <= 32:
                raise ValueError(f"{name} must be in {least}..32, not {getattr(self, name)!r}")

    @classmethod
    def of_chip(cls, chip: ChipSpec, *, payload_max: int = 240, slots: int = 8) -> LinkSpec:
        """Return the link of a chip."""
        first, top = chip.network.layers[0], chip.network.layers[-1]
        target = 0 if chip.learning is None else target_spec(chip.learning).width
        widths = (first.x_format.width, top.rate_format.width, target)
        return cls(first.inputs, top.outputs, *widths, payload_max, slots)

    @property
    def learns(self) -> bool:
        """Whether there are targets and probes."""
        return self.target_width > 0

    @property
    def input_bytes(self) -> int:
        """Bytes of an input word."""
        return bytes_of(self.input_width)

    @property
    def output_bytes(self) -> int:
        """Bytes of an output word."""
        return bytes_of(self.output_width)

    @property
    def target_bytes(self) -> int:
        """Bytes of a word of a target, 0 where there are none."""
        return bytes_of(self.target_width)

    @property
    def place_bits(self) -> int:
        """Bits of the place of a byte in its slot."""
        return self.payload_max.bit_length()

    @property
    def slot_bits(self) -> int:
        """Bits of the number of a slot."""
        return (self.slots - 1).bit_length()

    @property
    def request_words(self) -> int:
        """Words that a request can read or write at most."""
        return (self.payload_max - 6) // 4

    @property
    def memories(self) -> tuple[tuple[int, int], ...]:
        """Depth and width of each memory: slots in, slots out, request and replies, line."""
        slot = 1 << self.place_bits
        return (self.slots * slot, 8), (self.slots * slot, 8), (3 * slot, 8), (512, 8)


def bytes_of(width: int) -> int:
    """Bytes that a word of some bits takes on the line."""
    return -(-width // 8)
