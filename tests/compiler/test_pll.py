"""Clocks of boards: every setting within the limits, and none missed."""

from fractions import Fraction

import pytest

from vle.compiler.planning.boards import DESCRIPTIONS
from vle.compiler.planning.pll import Crystal, Ecp5Pll, GowinPll, Ice40Pll, clock_below, settings
from vle.errors import CompileError

CRYSTALS = [(d.chip.family, d.clock.hz) for d in DESCRIPTIONS.values()]
CRYSTALS += [("ecp5", 12_000_000), ("ice40", 48_000_000)]
# Megahertz: at the phase detector, of the oscillator, of the clock; and ranges of the dividers.
LIMITS = {
    Ecp5Pll: ((10, 400), (400, 800), (3.125, 400)),
    Ice40Pll: ((10, 133), (533, 1066), (16, 275)),
    GowinPll: ((3, 400), (500, 1200), (3.90625, 600)),
}


def frequencies(pll):
    """Phase detector, oscillator and clock, from the dividers as the data sheets define them."""
    reference = Fraction(pll.reference_hz, 10**6)
    if isinstance(pll, Ecp5Pll):
        compared = reference / pll.input_divider
        return compared, compared * pll.vco_factor, compared * pll.vco_factor / pll.output_divider
    if isinstance(pll, Ice40Pll):
        compared = reference / (1 + pll.divr)
        return compared, compared * (1 + pll.divf), compared * (1 + pll.divf) / 2**pll.divq
    compared = reference / (1 + pll.input)
    clock = compared * (1 + pll.feedback)
    return compared, clock * pll.divider, clock


@pytest.mark.parametrize(("family", "crystal"), CRYSTALS)
def test_every_setting_is_within_the_limits(family, crystal):
    found = list(settings(family, crystal))
    assert len(found) > 100
    for pll in found:
        values = frequencies(pll)
        assert values[2] * 10**6 == pll.hz
        for value, (low, high) in zip(values, LIMITS[type(pll)], strict=True):
            assert low <= value <= high, pll


def every_clock(family, mhz):
    """All clocks a PLL could make, searched without the shortcuts of the compiler."""
    dividers = {
        "ecp5": lambda: (
            Ecp5Pll(mhz * 10**6, i, n, o)
            for i in range(1, mhz // 10 + 1)
            for n in range(1, 129)
            for o in range(1, 129)
        ),
        "ice40": lambda: (
            Ice40Pll(mhz * 10**6, i, n, o)
            for i in range(16)
            for n in range(128)
            for o in range(1, 7)
        ),
        "gowin": lambda: (
            GowinPll(mhz * 10**6, i, n, o)
            for i in range(mhz // 3)
            for n in range(64)
            for o in GowinPll.DIVIDERS
        ),
    }[family]()
    for pll in dividers:
        pairs = zip(frequencies(pll), LIMITS[type(pll)], strict=True)
        if all(low <= value <= high for value, (low, high) in pairs):
            yield pll.hz


@pytest.mark.parametrize(("family", "crystal"), CRYSTALS[:3])
def test_no_faster_clock_is_missed(family, crystal):
    possible = sorted({Fraction(crystal), *every_clock(family, crystal // 10**6)})
    assert sorted({Fraction(crystal), *(p.hz for p in settings(family, crystal))}) == possible
    for mhz in (28, 74.25, 133.3):
        best = max(hz for hz in possible if hz <= mhz * 10**6)
        assert clock_below(family, crystal, mhz * 1e6).hz == best


def test_clocks_of_everyday():
    assert clock_below("ecp5", 25_000_000, 80e6).hz == 80_000_000
    assert clock_below("ice40", 12_000_000, 30e6) == Ice40Pll(12_000_000, 0, 79, 5)
    assert clock_below("gowin", 27_000_000, 54e6).hz == 54_000_000
    assert clock_below("gowin", 27_000_000, 27e6) == Crystal(27_000_000)
    assert clock_below("ice40", 12_000_000, 15.9e6) == Crystal(12_000_000)  # below the PLL's least


def test_a_clock_too_slow_is_refused():
    with pytest.raises(CompileError, match=r"clock must be 12 MHz or more, not 8 MHz"):
        clock_below("ice40", 12_000_000, 8e6)


def test_the_loop_filter_follows_the_phase_detector():
    ranges = [Ice40Pll(mhz * 10**6, 0, 63, 5).filter_range for mhz in (12, 17, 30, 50, 80, 110)]
    assert ranges == [1, 2, 3, 4, 5, 6]
