"""Where the integer model's 64 bits end, a layer is refused; up to there it equals any integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import random_chips

from vle.compiler.activation import PiecewiseLinear, Table
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec

STRAIGHT = PiecewiseLinear(1, 1, 0, 0, -128, 127, True, True)
TABLE = Table(4, (0, 8, 16, 24), (8, 8, 8, 8), 8)


def layer(u_width: int, constant_width: int, activation) -> LayerSpec:
    options = {"u_width": u_width, "constant_width": constant_width, "rate_width": 8}
    rng = np.random.default_rng(0)
    return random_chips.layer(
        *(rng, "l", 2, 3), x_format=Fixed(2, 6), activation=activation, **options
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: layer(45, 18, STRAIGHT), "l: alpha or rho .* must fit 63 bits, not 64"),
        (lambda: layer(46, 10, STRAIGHT), "l: potential must fit 45 bits, not 46"),
        (lambda: layer(24, 18, replace(STRAIGHT, low=-129)), "l: low and high .*, not -129..127"),
        (lambda: layer(24, 18, replace(STRAIGHT, high=128)), "l: low and high .* 8 signed bits"),
        (lambda: layer(24, 18, replace(TABLE, rate_width=9)), "l: rate_width must be 8, not 9"),
        (lambda: replace(STRAIGHT, shift=63), "shift must be in 0..62, not 63"),
        (lambda: replace(STRAIGHT, shift=-1), "shift must be in 0..62, not -1"),
        (lambda: replace(STRAIGHT, offset=1 << 47), "offset must fit 48 signed bits"),
        (lambda: replace(TABLE, shift=55), "shift must be in 1..54, not 55"),
        (lambda: replace(TABLE, shift=0), "shift must be in 1..54, not 0"),
        (lambda: replace(TABLE, tail_shift=63), "tail_shift must be in 0..62, not 63"),
    ],
)
def test_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def half_up(product: int, shift: int) -> int:
    return product + (1 << shift >> 1) >> shift


@pytest.mark.parametrize("shift", [0, 17, 62])
def test_exact_at_the_limits(shift):
    """Ends of the widest words, against integers without end."""
    spec = layer(44, 18, PiecewiseLinear(-(1 << 17), (1 << 17) - 1, shift, 0, -128, 127, 1, 1))
    u_format = spec.u_format
    ones = np.full(3, (1 << 18) - 1)
    spec = replace(spec, rho=ones, rho_shift=shift, alpha=ones, alpha_shift=max(shift, 18))
    spec = replace(spec, bias=np.array([u_format.low, u_format.high, 0]), scale=ones * 0)
    for start in (u_format.low, u_format.high):
        u, r, _ = spec.step(np.zeros((1, 2), np.int64), np.full((1, 3), start))
        for place, bias in enumerate(spec.bias.tolist()):
            d = bias - start
            prosp = start + half_up(ones[0].item() * d, shift)
            prosp = max(u_format.low, min(u_format.high, prosp))
            slope = -(1 << 17) if prosp < 0 else (1 << 17) - 1
            rate = max(-128, min(127, half_up(slope * prosp, shift)))
            assert u[0, place] == start + half_up(ones[0].item() * d, spec.alpha_shift)
            assert r[0, place] == rate


def test_tables_are_exact_at_the_limits():
    top = (1 << 31) - 1
    steep = Table(30, (-top - 1, top), (2 * top + 1, -2 * top - 1), 32, tail_shift=0)
    for prosp in (-(1 << 30), -1, 0, (1 << 30) - 1, 1 << 40):
        inside = min(prosp, (1 << 30) - 1)
        index, fraction = divmod(inside + (1 << 30), 1 << 30)
        rate = steep.value[index] + half_up(steep.delta[index] * fraction, 30)
        assert steep.run(np.array([prosp]))[0] == min(rate + prosp - inside, top)
