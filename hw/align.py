"""Shifts by an amount that stands in a register, either way, in two clocks."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed

from vle.hw.numeric import Delay, choose_late

FINE = 3  # bits of an amount that the second clock takes


def right_amount(left: Value, below: int, most: int) -> Value:
    """Places to the right by which `raw * 2**below` becomes `raw * 2**left`, within `0..most`."""
    return limited(Value.cast(below - left), most)


def limited(right: Value, most: int) -> Value:
    """Return the signed number within `0..most`."""
    bits = most.bit_length()
    beyond = right[bits:].any() | _above(right[:bits], most)
    return Mux(right[-1], 0, Mux(beyond, most, right[:bits]))


def _above(word: Value, limit: int) -> Value:
    """Whether an unsigned word is greater, in gates: quicker than a carry where it is short."""
    above: Value = C(0, 1)
    for place in range(len(word)):
        bit = word[place]
        above = bit & above if limit >> place & 1 else bit | above
    return above


def shift_coarse(
    m: Module, raw: Value, below: int, right: Value, *, most: int, keep: int, nothing: Value | int
) -> tuple[Signal, Signal]:
    """`raw * 2**below` to the right by the multiple of 8 in `right`; 1 clock; or 0.

    Returns a word and whether it is beyond: it has the sign, and what `shift_fine` makes of it is
    exact in its lowest `keep` bits, or the word that it stands for does not fit them.
    """
    width = keep + (1 << FINE)
    word = Signal(signed(width), name="coarse", reset_less=True)
    beyond = Signal(name="beyond", reset_less=True)
    wide = Cat(C(0, below), raw).as_signed()
    shifted, overs = [], []
    for coarse in range((most >> FINE) + 1):
        moved = wide >> (coarse << FINE)
        upper = moved[width - 1 :]
        shifted.append(Cat(moved[: width - 1], moved[-1].replicate(width - 1))[: width - 1])
        overs.append(upper.any() & ~upper.all())
    at = right[FINE:]
    m.d.sync += [
        word.eq(Mux(nothing, 0, Cat(Array(shifted)[at], wide[-1]))),
        beyond.eq(Mux(nothing, 0, Array(overs)[at])),
    ]
    return word, beyond


def shift_fine(word: Value, right: Value) -> Value:
    """Shift by the rest of the amount; no clock."""
    return word >> right[:FINE]


def round_each(  # noqa: PLR0917 - as `saturate_each`, with what is added
    m: Module,
    place: Delay,
    stage: int,
    word: Value,
    addend: Value,
    widths: Sequence[int],
    beyond: Value | int = 0,
) -> tuple[Value, Value]:
    """`word + addend` without its lowest bits, clamped to the layer's, and whether it was; 1 clock.

    The bits dropped are as many as the unsigned addend has. What does not fit is found beside the
    sum, not after it: from the word and the carry into the bits that stay; the word is clamped
    behind the registers. `place` has the layer, the word's at `stage`; `beyond`: it fits nothing.
    """
    wide, below = max(widths), len(addend)
    kept = word[below:]
    sign = kept[-1]
    kept = Cat(kept, sign.replicate(max(0, wide + 1 - len(kept))))
    total = Signal(signed(wide), name="rounded", reset_less=True)
    negative, carry = (Signal(name=n, reset_less=True) for n in ("negative", "carry"))
    m.d.sync += [
        total.eq((word + addend) >> below),
        negative.eq(sign),
        carry.eq((word[:below] + addend)[below]),
    ]

    def clamp(width: int) -> Value:
        low, upper = kept[: width - 1], kept[width - 1 :]
        names = (f"{n}{width}" for n in ("misfit", "full", "short"))
        misfit, full, short = (Signal(name=n, reset_less=True) for n in names)
        m.d.sync += [
            misfit.eq(beyond | ~(upper.all() | ~upper.any())),
            full.eq(low.all()),
            short.eq(~beyond & sign & ~upper[0] & upper[1:].all()),  # by less than one
        ]
        ones = carry & full
        past = misfit | (ones & ~negative)
        over = past & ~(short & ones)
        end = Cat((~negative).replicate(width - 1), negative)
        clamped = Mux(past, end, total[:width])
        return Cat(clamped, clamped[-1].replicate(wide - width), over)

    both = choose_late(m, place[stage], widths, clamp)
    return both[:-1].as_signed(), both[-1]
