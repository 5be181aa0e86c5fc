from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vle.compiler.fixed import Fixed, round_shift, saturate, width_of


@given(st.integers(-(2**50), 2**50), st.integers(0, 48))
def test_round_shift_is_half_up(raw, shift):
    exact = floor(Fraction(raw, 2**shift) + Fraction(1, 2))
    assert round_shift(np.array([raw]), shift)[0] == exact


def test_halves_go_up_on_both_sides_of_zero():
    raw = np.array([-6, -5, -3, -2, -1, 0, 1, 2, 3, 5, 6])
    assert round_shift(raw, 1).tolist() == [-3, -2, -1, -1, 0, 0, 1, 1, 2, 3, 3]
    assert round_shift(raw, 2).tolist() == [-1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 2]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(2, 40))
def test_saturate_counts_what_it_clamps(values, width):
    got, count = saturate(np.array(values), width)
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    assert got.tolist() == [min(max(v, low), high) for v in values]
    assert count == sum(not low <= v <= high for v in values)


@given(st.floats(1e-9, 1e9), st.integers(3, 32))
def test_covering_is_the_finest_that_holds_both_signs(magnitude, width):
    fmt = Fixed.covering(magnitude, width)
    assert fmt.width == width
    for value in (magnitude, -magnitude):
        assert abs(fmt.real(fmt.quantize(value)) - value) <= fmt.step / 2
    finer = Fixed(fmt.i_bits - 1, fmt.f_bits + 1)
    assert abs(finer.real(finer.quantize(magnitude)) - magnitude) > finer.step / 2


@given(st.integers(0, 2**60))
def test_width_of_holds_the_magnitude_and_no_bit_more(magnitude):
    width = width_of(magnitude)
    assert magnitude <= 2 ** (width - 1) - 1
    assert magnitude == 0 or magnitude > 2 ** (width - 2) - 1


@pytest.mark.parametrize("bits", [(0, 1), (40, 9), (-3, 4)])
def test_widths_have_limits(bits):
    with pytest.raises(ValueError, match="width must be in"):
        Fixed(*bits)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_covering_refuses(bad):
    with pytest.raises(ValueError, match="magnitude must be finite"):
        Fixed.covering(bad, 16)
