"""Where everything lies that a host can reach: registers, and windows on the memories."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.windows import (
    NEURON_KINDS,
    Region,
    Window,
    lane_bits,
    lay_out_regions,
    tables,
    windows_of,
)

IDENTITY = 0x564C4531  # "VLE1"
VERSION = 1
__all__ = [
    "COUNTERS",
    "IDENTITY",
    "LAYER_FLAGS",
    "NEURON_KINDS",
    "VERSION",
    "Region",
    "Register",
    "RegisterMap",
    "Window",
    "lane_bits",
    "register_map",
    "tables",
]
COUNTERS = ("current", "prosp", "rate")
LAYER_FLAGS = ("waiting", "zero_u", "zero_loop", "zero_rate", "start")


@dataclass(frozen=True)
class Register:
    """A 32-bit word at a word address.

    Parameters
    ----------
    name
        Unique.
    address
        In 32-bit words; times 4 on a bus of bytes.
    bits
        Names of its bits from the lowest, where it is made of bits.
    access
        ``r`` or ``rw``.
    """

    name: str
    address: int
    access: str = "r"
    bits: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegisterMap:
    """Registers and windows of a chip.

    Parameters
    ----------
    hash
        32 bits that tell one chip and its initial parameters from another.
    core_base
        First word address that the core answers, not the top's registers.
    flags_base
        Word address of the flags of the network; those of layer `l` follow at `+ 1 + l`.
    address_width
        Bits of a word address.
    registers, windows
        As their classes say.
    regions
        Memories, for the decoder.
    """

    hash: int
    core_base: int
    flags_base: int
    address_width: int
    registers: tuple[Register, ...]
    windows: tuple[Window, ...]
    regions: tuple[Region, ...] = field(repr=False)

    def register(self, name: str) -> Register:
        """Find a register by its name."""
        return next(register for register in self.registers if register.name == name)

    def window(self, kind: str, layer: int) -> Window:
        """Find a window by what it shows."""
        return next(w for w in self.windows if (w.kind, w.layer) == (kind, layer))

    @cached_property
    def json(self) -> dict[str, Any]:
        """The map as plain data, regions left out."""
        plain = asdict(self)
        del plain["regions"]
        return plain


def register_map(chip: ChipSpec) -> RegisterMap:
    """Lay out the addresses of a chip."""
    layers = len(chip.network.layers)
    registers = list(_registers(layers))
    core_base = 1 << max(r.address for r in registers).bit_length()
    registers.append(Register("FLAGS", core_base, "rw", ("fresh",)))
    registers += [
        Register(f"LAYER_FLAGS[{layer}]", core_base + 1 + layer, "rw", LAYER_FLAGS)
        for layer in range(layers)
    ]
    regions = lay_out_regions(chip, core_base + 1 + layers)
    windows = tuple(w for region in regions for w in windows_of(chip, region))
    end = regions[-1].base + (1 << regions[-1].address_width)
    return RegisterMap(
        _hash(chip, windows),
        core_base,
        core_base,
        (end - 1).bit_length(),
        tuple(registers),
        windows,
        regions,
    )


def _registers(layers: int) -> list[Register]:
    registers = [
        Register("ID", 0),
        Register("VERSION", 1),
        Register("HASH", 2),
        Register("CTRL", 3, "rw", ("halt", "clear", "clear_counters")),
        Register("STATUS", 4, "r", ("idle",)),
        Register("STEPS", 5),
        Register("FRAME_ERRORS", 6),
    ]
    registers += [
        Register(f"SATURATION[{layer}][{kind}]", 16 + 4 * layer + place)
        for layer in range(layers)
        for place, kind in enumerate(COUNTERS)
    ]
    return registers


def _hash(chip: ChipSpec, windows: tuple[Window, ...]) -> int:
    """Return the first 32 bits of SHA-256 over layout, formats and parameters."""
    digest = hashlib.sha256(json.dumps([asdict(w) for w in windows]).encode())
    for spec in chip.network.layers:
        rest = (spec.shifts, spec.activation, spec.x_format, spec.u_format, spec.rate_format)
        digest.update(repr(rest).encode())
        for words in (spec.weight, spec.scale, spec.bias, spec.alpha, spec.rho):
            digest.update(words.astype("<i8").tobytes())
    return int.from_bytes(digest.digest()[:4], "big")
