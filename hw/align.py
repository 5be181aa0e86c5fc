"""Shifts by an amount that stands in a register, either way, in two clocks."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed

from vle.hw.numeric import choose, saturate

FINE = 3  # bits of an amount that the second clock takes


def right_amount(left: Value, below: int, most: int) -> Value:
    """Places to the right by which `raw * 2**below` becomes `raw * 2**left`, within `0..most`."""
    right = below - left
    return Mux(right < 0, 0, Mux(right > most, most, right))[: most.bit_length()]


def shift_coarse(m: Module, raw: Value, below: int, right: Value, keep: int) -> Value:
    """`raw * 2**below` to the right by the multiple of 8 in `right`; 1 clock.

    What `shift_fine` makes of it is exact in its lowest `keep` bits, or else does not fit them.
    """
    word = Signal(signed(keep + (1 << FINE)), name="coarse")
    wide = Cat(C(0, below), raw).as_signed()
    m.d.sync += word.eq(saturate(wide >> Cat(C(0, FINE), right[FINE:]), len(word))[0])
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
