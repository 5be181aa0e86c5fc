"""Narrowing in hardware, choice by layer, and delay lines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import zip_longest
from math import isqrt

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value

from vle.hw.primitives import Product
from vle.hw.primitives.product import registered

Chooser = Callable[[Callable[..., Value]], Value]  # of circuits made by key


def saturate(value: Value, width: int) -> tuple[Value, Value]:
    """Clamp to `width` signed bits; return the word and whether it was clamped."""
    if len(value) <= width:
        return value, C(0, 1)
    upper = value[width - 1 :]
    fits = upper.all() | ~upper.any()
    end = Cat((~value[-1]).replicate(width - 1), value[-1])
    return Mux(fits, value[:width], end).as_signed(), ~fits


def saturate_each(place: Value, word: Value, widths: Sequence[int]) -> Value:
    """Clamp to the bits of the layer at `place`, and whether it was, as one value.

    The word comes first, as wide as the widest layer's.
    """
    wide = max(widths)

    def clamp(width: int) -> Value:
        clamped, over = saturate(word, width)
        sign = clamped[len(clamped) - 1]
        return Cat(clamped[:width], sign.replicate(wide - min(width, len(clamped))), over)

    return choose(place, widths, clamp)


def saturate_late(m: Module, place: Value, word: Value, widths: Sequence[int]) -> Value:
    """As `saturate_each`, a clock later: clamped behind the registers."""
    wide = max(widths)
    low, negative = Signal(wide, name="low", reset_less=True), Signal(reset_less=True)
    m.d.sync += [low.eq(word), negative.eq(word[-1])]

    def clamp(width: int) -> Value:
        over, upper = Signal(name=f"over{width}", reset_less=True), word[width - 1 :]
        m.d.sync += over.eq(upper.any() & ~upper.all())
        end = Cat((~negative).replicate(width - 1), negative)
        clamped = Mux(over, end, low[:width])
        return Cat(clamped, clamped[-1].replicate(wide - width), over)

    return choose_late(m, place, widths, clamp)


def saturate_shifted(
    m: Module, place: Value, word: Value, shifts: Sequence[int], widths: Sequence[int]
) -> Value:
    """`word >> shift` clamped as by `saturate_each`; `place` is that of a clock before.

    Whether the word fits is found beside the shift, not after it.
    """
    wide, sign, keys = max(widths), word[-1], list(zip(shifts, widths, strict=True))

    def beyond(key: tuple[int, int]) -> Value:
        below = min(len(word), sum(key) - 1)
        return C((1 << len(word)) - (1 << below), len(word))

    def shifted(key: tuple[int, int]) -> Value:
        shift, width = key
        kept = word[shift : shift + width]
        return Cat(kept, sign.replicate(wide - len(kept)))

    def end(key: tuple[int, int]) -> Value:
        return Cat((~sign).replicate(key[1] - 1), sign.replicate(wide - key[1] + 1))

    differs = word ^ sign.replicate(len(word))
    over = (differs & choose_late(m, place, keys, beyond)).any()
    exact, ends = (choose_late(m, place, keys, make) for make in (shifted, end))
    return Cat(Mux(over, ends, exact), over)


def round_shift(value: Value, shift: int) -> Value:
    """`value / 2**shift` to the nearest integer, half up."""
    return (value + (1 << shift >> 1)) >> shift


def below_point(value: Value, shift: int) -> Value:
    """`value * 2**shift + 2**(shift - 1)`, wires only; a sum with it is rounded by `>> shift`."""
    if shift == 0:
        return value
    return Cat(C(1 << (shift - 1), shift), value).as_signed()


def choose(place: Value, keys: Sequence[Hashable], make: Callable[..., Value]) -> Value:
    """`make(keys[place])`, one circuit for each distinct key."""
    made = {key: make(key) for key in dict.fromkeys(keys)}
    if len(made) == 1:
        return made[keys[0]]
    return Value.cast(Array([made[key] for key in keys])[place])


def choose_late(
    m: Module, place: Value, keys: Sequence[Hashable], make: Callable[..., Value]
) -> Value:
    """As `choose`, by a register: `place` is that of a clock before."""
    return chooser(m, place, keys)(make)


def chooser(m: Module, place: Value, keys: Sequence[Hashable], *, near: bool = False) -> Chooser:
    """Return what chooses as `choose_late` does, by one register.

    Where the register is to be `near` to what it chooses, it is an `own` one.
    """
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    if len(numbers) == 1:
        return lambda make: make(keys[0])
    number = Signal(range(len(numbers)))
    m.d.comb += number.eq(Array(numbers[key] for key in keys)[place])
    key = own(m, number, "key") if near else registered(m, number, 1)
    return lambda make: Value.cast(Array(map(make, numbers))[key])


def own(m: Module, value: Value, name: str) -> Signal:
    """Return the value a clock later, in a register that synthesis does not share.

    It loads what differs: so no two are alike.
    """
    register = Signal.like(value, name=name, reset_less=True)
    with m.If(register != value):
        m.d.sync += register.eq(value)
    return register


def chosen(m: Module, word: Value, width: int, lane: Value) -> Value:
    """Return one lane of a word, 2 clocks later; its number comes a clock before the word."""
    lanes = len(word) // width
    here = Signal(lanes, name="lane", reset_less=True)
    m.d.sync += here.eq(1 << lane)
    return selected_late(m, here, [word.word_select(k, width) for k in range(lanes)])


def either(words: list[Value]) -> Value:
    """Return the words' bits together, as a tree: there may be thousands."""
    while len(words) > 1:
        words = [a | b for a, b in zip_longest(words[::2], words[1::2], fillvalue=C(0, 1))]
    return words[0]


def selected(here: Value, words: Iterable[Value | int]) -> Value:
    """Return the word whose bit is set, 0 where none is."""
    return either([Mux(here[k], word, 0) for k, word in enumerate(words)])


def selected_late(m: Module, here: Value, words: Sequence[Value | int]) -> Value:
    """As `selected`, 2 clocks later: among a few words each, then among those; far ones, too."""
    few = isqrt(len(words) - 1) + 1 if len(words) > 1 else 1
    starts = range(0, len(words), few)
    some = [selected(here[k : k + few], words[k : k + few]) for k in starts]
    return registered(m, either([registered(m, word, 1) for word in some]), 1)


def constant(value: int) -> Value:
    """Return a signed constant, one bit wide at least."""
    return C(value, Value.cast(C(value)).shape().width + 1).as_signed()


def multiply(
    m: Module, a: Value, b: Value, *, clocks: int = 2, lane: bool = False, kind: str = ""
) -> Value:
    """Product of any widths, 1 or 2 clocks later; see `vle.hw.primitives.Product`."""
    product = Product(a.shape(), b.shape(), behind=clocks, lane=lane, kind=kind)
    m.submodules += product
    m.d.comb += [product.a.eq(a), product.b.eq(b)]
    return product.o


def multiply_add(m: Module, a: Value, b: Value, c: Value, *, kind: str = "") -> Value:
    """Return `a * b + c` 2 clocks later; the addend comes a clock behind the factors."""
    product = Product(a.shape(), b.shape(), addend=c.shape(), kind=kind)
    m.submodules += product
    m.d.comb += [product.a.eq(a), product.b.eq(b), product.c.eq(c)]
    return product.o


class Delay:
    """A value and its registered copies, one more for each clock.

    Parameters
    ----------
    m
        Where the registers go.
    value
        At stage `first`.
    name
        Of the registers, the stage appended.
    reset_less
        Whether nothing resets them; None: a flag is reset, a word is not.
    """

    def __init__(
        self,
        m: Module,
        value: Value,
        name: str,
        first: int = 0,
        *,
        reset_less: bool | None = None,
    ):
        self._m, self._name, self._first = m, name, first
        self._reset_less = len(value) > 1 if reset_less is None else reset_less
        self._stages = [value]

    def __getitem__(self, stage: int) -> Value:
        """Return the value as it stands at `stage`."""
        while len(self._stages) <= stage - self._first:
            value = self._stages[-1]
            name = f"{self._name}_{self._first + len(self._stages)}"
            copy = Signal(value.shape(), name=name, reset_less=self._reset_less)
            self._m.d.sync += copy.eq(value)
            self._stages.append(copy)
        return self._stages[stage - self._first]
