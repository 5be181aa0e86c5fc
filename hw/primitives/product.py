"""A product with its registers."""

from __future__ import annotations

from itertools import product

from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.planning.mapping import FAMILIES

GENERIC = FAMILIES["generic"]


class Product(wiring.Component):
    """`o = a * b`, or `a * b + c`, `before + behind` clocks later; one product per clock.

    Factors of any widths: where one is wider than a hard multiplier takes, partial products are
    summed before the last of the registers behind. Nothing resets its registers.

    Parameters
    ----------
    a, b
        Shapes of the factors, signed or not.
    before
        Registers before the multiplier, 0 or 1.
    behind
        Registers behind it, 1 or 2.
    lane
        Whether it is one of the many of a synapse array: where hard multipliers are few, these
        have them.
    addend
        Shape of what is added before the last register; None: nothing. It takes 2 registers behind.
    kind
        What it is for, as `vle.compiler.planning.products` names it: of the others, where hard
        multipliers are few, some kinds have them and some have none.

    Members
    -------
    a, b
        Factors.
    c
        Addend, a clock before the sum.
    o
        Product or sum, as wide as it can get.
    """

    def __init__(
        self,
        a: Shape,
        b: Shape,
        *,
        before: int = 0,
        behind: int = 2,
        addend: Shape | None = None,
        lane: bool = False,
        kind: str = "",
    ):
        if before not in (0, 1) or behind not in (1, 2):
            raise ValueError(
                f"registers of a product must be 0 or 1 before, 1 or 2 behind, not {before, behind}"
            )
        if addend is not None and behind == 1:
            raise ValueError("registers of a sum must be 2 behind its product, not 1")
        self.before, self.behind, self.lane, self.kind = before, behind, lane, kind
        self.addend = addend
        total = Value.cast(Signal(a) * Signal(b))
        members = {"a": In(a), "b": In(b)}
        if addend is not None:
            total, members["c"] = total + Signal(addend), In(addend)
        super().__init__(members | {"o": Out(total.shape())})

    def elaborate(self, platform) -> Module:
        if hasattr(platform, "get_product"):
            return platform.get_product(self)
        return self.inferred()

    def inferred(self) -> Module:
        """Return the product as synthesis infers it."""
        m = Module()
        a, b = (registered(m, value, self.before) for value in (self.a, self.b))
        parts = []
        for (x, x_place), (y, y_place) in tiles(a, b, GENERIC.piece):
            part = Signal.like(x * y, name="part", reset_less=True)
            m.d.sync += part.eq(x * y)
            parts.append(part.shift_left(x_place + y_place))
        self.connect(m, parts, self.behind - 1)
        return m

    def sums(self, parts: int) -> bool:
        """Whether the last register comes behind a sum, of so many partial products."""
        return self.behind > 1 and (parts > 1 or self.addend is not None)

    def connect(self, m: Module, parts: list[Value], clocks: int) -> None:
        """Connect the sum of the partial products, so many registers behind it."""
        words = parts if self.addend is None else [*parts, self.c]
        total = sum(words[1:], start=words[0])[: len(self.o)]
        m.d.comb += self.o.eq(registered(m, total, clocks))


class Products(wiring.Component):
    """Products of the same shapes side by side, 2 clocks: those of a synapse array.

    Parameters
    ----------
    count
        How many.
    a, b
        Shapes of their factors.

    Members
    -------
    a, b, o
        Factors and products.
    """

    def __init__(self, count: int, a: Shape, b: Shape):
        self.count, self.each = count, (a, b)
        shape = Value.cast(Signal(a) * Signal(b)).shape()
        super().__init__(
            {"a": In(a).array(count), "b": In(b).array(count), "o": Out(shape).array(count)}
        )

    def elaborate(self, platform) -> Module:
        if hasattr(platform, "get_products"):
            return platform.get_products(self)
        return self.apart()

    def apart(self) -> Module:
        """Return them as products of their own."""
        m = Module()
        for k in range(self.count):
            m.submodules[f"product{k}"] = one = Product(*self.each, lane=True)
            m.d.comb += [one.a.eq(self.a[k]), one.b.eq(self.b[k]), self.o[k].eq(one.o)]
        return m


def tiles(a: Value, b: Value, piece: int) -> list[tuple[tuple[Value, int], tuple[Value, int]]]:
    """Pairs of pieces, each with its place, whose products' sum is the product.

    Parameters
    ----------
    piece
        Bits of an unsigned piece; a signed one may have one more.
    """
    return list(product(_pieces(a, piece), _pieces(b, piece)))


def _pieces(value: Value, piece: int) -> list[tuple[Value, int]]:
    """Unsigned pieces, the highest signed where the value is, and their places."""
    pieces, place, limit = [], 0, piece + value.shape().signed
    while len(value) - place > limit:
        pieces.append((value[place : place + piece], place))
        place += piece
    top = value[place:]
    pieces.append((top.as_signed() if value.shape().signed else top, place))
    return pieces


def registered(m: Module, value: Value, clocks: int) -> Value:
    """Return the value so many clocks later; nothing resets it."""
    for _ in range(clocks):
        register = Signal.like(value, name="word", reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value
