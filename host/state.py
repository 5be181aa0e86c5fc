"""All that a chip remembers between two steps: read, checked, written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vle.host.checks import instance, integers
from vle.host.chip import Chip, Raw
from vle.host.parameters import is_parameter

WIDTHS = {"EXPONENT": 24, "NOISE": 32, "RATE": 24, "TAU_RATE": 24}  # bits; noise is never 0
EXPONENTS, PATIENCE = (-96, 31), 16  # of errors; steps with small errors until it falls
# What reads as 0 while a flag is up, whatever lies in the memories. The rates that the top layer's
# errors are compared with are part of its errors.
COVERS = {
    "zero_u": ("u",),
    "zero_loop": ("loop",),
    "zero_rate": ("rate",),
    "zero_error": ("v", "prime", "down", "loop_error"),
}
PREFIXES = ("trace", "sense")  # also covered by zero_error


@dataclass(frozen=True)
class State:
    """All that a chip remembers between two steps, beside parameters.

    Parameters
    ----------
    words
        By kind and layer: potentials (``u``), the rates that the layer above and the layer itself
        will hear (``rate``, ``loop``), and where it learns its errors and traces.
    flags
        Words of the registers of flags, by name; where it learns also exponents and draws.
    """

    words: dict[tuple[str, int], Raw]
    flags: dict[str, int]


def registers(chip: Chip) -> list[str]:
    """Names of the registers that hold state."""
    kinds = ("FLAGS", "LAYER_FLAGS", "EXPONENT", "NOISE")
    return [name for name in chip.bundle.map.address if name.partition("[")[0] in kinds]


def windows(chip: Chip) -> list[tuple[str, int]]:
    """Kinds and layers of words that are state."""
    return [key for key in chip.bundle.map.windows if not is_parameter(key[0])]


def read(chip: Chip) -> State:
    """Read the state; the chip must be halted."""
    words = {key: chip.get(*key) for key in windows(chip)}
    flags = {name: chip.read(name) for name in registers(chip)}
    for (kind, layer), raw in words.items():
        if _is_zero(chip, kind, layer, flags[f"LAYER_FLAGS[{layer}]"]):
            raw[:] = 0  # what counts as 0 is not cleared
    return State(words, flags)


def _is_zero(chip: Chip, kind: str, layer: int, flags: int) -> bool:
    names = chip.bundle.map.bits[f"LAYER_FLAGS[{layer}]"]
    up = {name for bit, name in enumerate(names) if flags >> bit & 1}
    top = kind == "rate" and layer == len(chip.bundle.layers) - 1
    if "zero_error" in up and (top or kind.startswith(PREFIXES)):
        return True
    return any(kind in COVERS.get(name, ()) for name in up)


def checked(chip: Chip, state: State) -> State:
    """Return a state that this chip can have.

    Raises
    ------
    TypeError, ValueError
        For words or flags that are missing or that this chip has not, a wrong shape, or a word that
        does not fit.
    """
    instance("state", state, State)
    same("state.words", state.words, windows(chip))
    same("state.flags", state.flags, registers(chip))
    words = {key: chip.check(*key, raw) for key, raw in state.words.items()}
    for name, flags in state.flags.items():
        check_register(chip, f"state.flags: {name}", name, flags)
    return State(words, state.flags)


def same(what: str, got: Collection[object], own: Collection[object]) -> None:
    """Refuse what is not all that a chip has, or more.

    Raises
    ------
    ValueError
        Naming what differs.
    """
    if set(got) != set(own):
        wrong = ", ".join(map(str, sorted(set(got) ^ set(own), key=str)))
        raise ValueError(f"{what} must be those of this chip; they differ in {wrong}")


def check_register(chip: Chip, what: str, name: str, word: int) -> None:
    """Refuse a word that a register cannot hold.

    Raises
    ------
    ValueError
        Naming the register.
    """
    bits = len(chip.bundle.map.bits[name]) or WIDTHS[name.partition("[")[0]]
    integers(what, word, (int(name.startswith("NOISE")), (1 << bits) - 1))
    if name.startswith("EXPONENT"):
        _check_exponent(what, int(word))


def _check_exponent(what: str, word: int) -> None:
    """Refuse exponents and counts that no step leaves behind."""
    for part, limits, value in (
        ("exponent", EXPONENTS, _signed(word)),
        ("steps with small errors", (0, PATIENCE - 1), word >> 8 & 0xFF),
        ("exponent of the step before", EXPONENTS, _signed(word >> 16)),
    ):
        if not limits[0] <= value <= limits[1]:
            raise ValueError(f"{what}: {part} must be in {limits[0]}..{limits[1]}, not {value}")


def _signed(word: int) -> int:
    low = word & 0xFF
    return low - ((low & 0x80) << 1)


def write(chip: Chip, state: State) -> None:
    """Write a state that was checked; the chip must be halted."""
    for key, raw in state.words.items():
        chip.put(*key, raw)
    for name, word in state.flags.items():
        chip.write(name, word)
