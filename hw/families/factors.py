"""A product of hard multipliers of 18 by 18 bits, which have registers of their own."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import C, Cat, Instance, Module, Signal, Value

from vle.compiler.planning.mapping import Family, multipliers_of
from vle.hw.primitives.product import Product, tiles

FACTOR = 18
STAGES = {"output": 1, "inputs": 2, "pipeline": 3}  # from how many clocks on a register is taken
Multiplier = Callable[[Value, Value, Signal, int], Instance]


def hard_product(product: Product, family: Family, multiplier: Multiplier) -> Module:
    """Build a product of what `multiplier` makes: `o = a * b`, so many clocks later."""
    a, b, parts = product.a, product.b, []
    widths = [len(factor) + (not factor.shape().signed) for factor in (a, b)]
    count = multipliers_of(widths[0], widths[1], family)
    if count == 0:
        return product.inferred()
    m = Module()
    summed = product.sums(count)
    clocks = product.before + product.behind - summed
    for (x, x_place), (y, y_place) in tiles(a, b, family.piece):
        part = Signal.like(x * y, name="part")
        m.submodules += multiplier(x, y, part, clocks)
        parts.append(part.shift_left(x_place + y_place))
    assert len(parts) == count
    product.connect(m, parts, int(summed))
    return m


def filled(factor: Value) -> Value:
    """Return a factor on all pins of a multiplier."""
    top = factor[-1] if factor.shape().signed and len(factor) else C(0, 1)
    return Cat(factor, top.replicate(FACTOR - len(factor)))
