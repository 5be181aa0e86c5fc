"""Where everything lies that a host can reach: registers, and windows on the memories."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.windows import (
    NEURON_KINDS,
    Region,
    Window,
    error_kinds,
    lane_bits,
    lay_out_regions,
    neuron_kinds,
    tables,
    windows_of,
)
from vle.compiler.learning.spec import LearningSpec
from vle.compiler.learning.step import Clamped

IDENTITY = 0x564C4531  # "VLE1"
VERSION = 1
PROBES = 4  # of a chip that learns
__all__ = [
    "COUNTERS",
    "CTRL",
    "HALF_COUNT",
    "IDENTITY",
    "LAYER_FLAGS",
    "LEARNING_FLAGS",
    "NEURON_KINDS",
    "PROBES",
    "STATUS",
    "VERSION",
    "Region",
    "Register",
    "RegisterMap",
    "Window",
    "counter_names",
    "error_kinds",
    "lane_bits",
    "layer_flags",
    "neuron_kinds",
    "register_map",
    "tables",
]
COUNTERS = ("current", "prosp", "rate")
HALF_COUNT = 16  # a count is kept as two words
LAYER_FLAGS = ("waiting", "zero_u", "zero_loop", "zero_rate", "start")
LEARNING_FLAGS = (*LAYER_FLAGS, "zero_error")


def counter_names(layers: int, *, learns: bool) -> list[str]:
    """Names of the registers that count, in the order in which the chip keeps them."""
    names = ["STEPS", "FRAME_ERRORS"]
    names += [f"SATURATION[{layer}][{kind}]" for layer in range(layers) for kind in COUNTERS]
    if learns:
        names.append("TARGET_ERRORS")
        names += [
            f"CLAMPED[{layer}][{what}]" for layer in range(layers) for what in Clamped._fields
        ]
    return names


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

    def mask(self, bit: str) -> int:
        """Return the word that has this bit alone."""
        return 1 << self.bits.index(bit)


CTRL = Register("CTRL", 3, "rw", ("halt", "clear", "clear_counters"))
STATUS = Register("STATUS", 4, "r", ("idle",))


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
        Word address of the flags of the network; those of layer `l` follow at `+ 1 + l`. Where it
        learns, `EXPONENT[l]` (`exponent | quiet << 8 | exponent of the step before << 16`) and
        `NOISE[l]` follow them.
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

    @property
    def flag_width(self) -> int:
        """Bits of a word of flags; where it learns, exponents and draws lie beside them."""
        learns = any(register.name == "NOISE[0]" for register in self.registers)
        return 32 if learns else len(LAYER_FLAGS)

    @cached_property
    def json(self) -> dict[str, Any]:
        """The map as plain data, regions left out."""
        plain = asdict(self)
        del plain["regions"]
        return plain


def register_map(chip: ChipSpec) -> RegisterMap:
    """Lay out the addresses of a chip."""
    layers = len(chip.network.layers)
    registers = _registers(layers)
    if chip.learning is not None:
        registers += _learning_registers(layers, 1 + max(r.address for r in registers))
    core_base = 1 << max(r.address for r in registers).bit_length()
    registers.append(Register("FLAGS", core_base, "rw", ("fresh",)))
    registers += [
        Register(f"LAYER_FLAGS[{layer}]", core_base + 1 + layer, "rw", layer_flags(chip))
        for layer in range(layers)
    ]
    if chip.learning is not None:
        registers += [
            Register(f"{name}[{layer}]", core_base + 1 + (place + 1) * layers + layer, "rw")
            for place, name in enumerate(("EXPONENT", "NOISE"))
            for layer in range(layers)
        ]
    regions = lay_out_regions(chip, registers[-1].address + 1)
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


def layer_flags(chip: ChipSpec) -> tuple[str, ...]:
    """Name the flags of a layer from the lowest bit."""
    return LAYER_FLAGS if chip.learning is None else LEARNING_FLAGS


def _learning_registers(layers: int, base: int) -> list[Register]:
    """Rates, counters and probes of a chip that learns."""
    names = [(f"{kind}[{k}]", "rw") for kind in ("RATE", "TAU_RATE") for k in range(layers)]
    names += [(f"CLAMPED[{k}][{what}]", "r") for k in range(layers) for what in Clamped._fields]
    names += [(f"PROBE[{k}]", "rw") for k in range(PROBES)]
    names += [("PROBE_LOST", "r"), ("TARGET_ERRORS", "r")]
    return [Register(name, base + k, access) for k, (name, access) in enumerate(names)]


def _registers(layers: int) -> list[Register]:
    registers = [
        Register("ID", 0),
        Register("VERSION", 1),
        Register("HASH", 2),
        CTRL,
        STATUS,
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
    if chip.learning is not None:
        digest.update(chip.learning.loss.encode())
        for learning in chip.learning.learning:
            digest.update(_learning_words(learning))
    return int.from_bytes(digest.digest()[:4], "big")


def _learning_words(learning: LearningSpec) -> bytes:
    """All of a layer's learning that its circuit or its initial parameters depend on."""
    names = [field.name for field in fields(learning)]
    values = [getattr(learning, name) for name in names]
    plain = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
    return repr(list(zip(names, plain, strict=True))).encode()
