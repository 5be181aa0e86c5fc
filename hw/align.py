"""Shifts by an amount that stands in a register, either way, in two clocks."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed

from vle.hw.numeric import choose

FINE = 3  # bits of an amount that the second clock takes


def right_amount(left: Value, below: int, most: int) -> Value:
    """Places to the right by which `raw * 2**below` becomes `raw * 2**left`, within `0..most`."""
    right, bits = Value.cast(below - left), most.bit_length()
    beyond = right[bits:].any() | _above(right[:bits], most)
    return Mux(right[-1], 0, Mux(beyond, most, right[:bits]))


def _above(word: Value, limit: int) -> Value:
    """Whether an unsigned word is greater, in gates: quicker than a carry where it is short."""
    above: Value = C(0, 1)
    for place, bit in enumerate(word):
        above = bit & above if limit >> place & 1 else bit | above
    return above


def shift_coarse(
    m: Module, raw: Value, below: int, right: Value, *, most: int, keep: int, nothing: Value | int
) -> Value:
    """`raw * 2**below` to the right by the multiple of 8 in `right`; 1 clock; or 0.

    What `shift_fine` makes of it is exact in its lowest `keep` bits, or else does not fit them:
    which is found beside the shift, for each amount up to `most`.
    """
    word = Signal(signed(keep + (1 << FINE)), name="coarse")
    wide, width = Cat(C(0, below), raw).as_signed(), len(word)
    shifted, overs = [], []
    for coarse in range((most >> FINE) + 1):
        moved = wide >> (coarse << FINE)
        upper = moved[width - 1 :]
        shifted.append(Cat(moved[:width], moved[-1].replicate(width - len(moved[:width]))))
        overs.append(upper.any() & ~upper.all())
    at = right[FINE:]
    end = Cat((~wide[-1]).replicate(width - 1), wide[-1])
    fitted = Mux(Array(overs)[at], end, Array(shifted)[at])
    m.d.sync += word.eq(Mux(nothing, 0, fitted))
    return word


def shift_fine(word: Value, right: Value) -> Value:
    """Shift by the rest of the amount; no clock."""
    return word >> right[:FINE]


def round_each(place: Value, word: Value, addend: Value, widths: Sequence[int]) -> Value:
    """`word + addend` without its lowest bits, clamped to the layer's, as `saturate_each` has it.

    The bits dropped are as many as the unsigned addend has. What does not fit is found beside the
    sum, not after it: from the word and the carry into the bits that stay.
    """
    wide, below = max(widths), len(addend)
    carry = (word[:below] + addend)[below]
    total, kept = (word + addend) >> below, word[below:]

    def clamp(width: int) -> Value:
        low, upper, sign = kept[: width - 1], kept[width - 1 :], kept[-1]
        fits, ones = upper.all() | ~upper.any(), carry & low.all()
        end = Cat((~sign).replicate(width - 1), sign)
        back = sign & ones & ~upper[0] & upper[1:].all()
        past = ~fits | (ones & ~sign)
        clamped = Mux(past, end, total[:width])
        return Cat(clamped, clamped[-1].replicate(wide - width), past & ~back)

    return choose(place, widths, clamp)
