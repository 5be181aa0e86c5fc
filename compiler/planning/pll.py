"""Clocks that a board's PLL can make of its crystal, within the limits of the data sheets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vle.errors import CompileError

MHZ = 1_000_000


class Source(Protocol):
    """Where the circuit's clock comes from."""

    @property
    def hz(self) -> Fraction:
        """Hertz of the circuit's clock."""


@dataclass(frozen=True)
class Crystal:
    """The crystal's own clock, without a PLL."""

    reference_hz: int

    @property
    def hz(self) -> Fraction:
        """Hertz of the circuit's clock."""
        return Fraction(self.reference_hz)


@dataclass(frozen=True)
class Ecp5Pll:
    """EHXPLLL: `hz = reference_hz / input_divider * vco_factor / output_divider`.

    The oscillator is compared with the input through output CLKOP, which divides by `vco_factor`;
    the circuit has CLKOS.

    References
    ----------
    Lattice FPGA-DS-02012, sysCLOCK PLL timing; FPGA-TN-02200.
    """

    reference_hz: int
    input_divider: int
    vco_factor: int
    output_divider: int

    @property
    def hz(self) -> Fraction:
        """Hertz of the circuit's clock."""
        return self.vco_hz / self.output_divider

    @property
    def compared_hz(self) -> Fraction:
        """Hertz at the phase detector."""
        return Fraction(self.reference_hz, self.input_divider)

    @property
    def vco_hz(self) -> Fraction:
        """Hertz of the oscillator."""
        return self.compared_hz * self.vco_factor

    @property
    def allowed(self) -> bool:
        """Whether all is within the device's limits."""
        return (
            8 * MHZ <= self.reference_hz <= 400 * MHZ
            and 10 * MHZ <= self.compared_hz <= 400 * MHZ
            and 400 * MHZ <= self.vco_hz <= 800 * MHZ
            and Fraction(3125, 1000) * MHZ <= self.hz <= 400 * MHZ
            and all(1 <= n <= 128 for n in (self.input_divider, self.vco_factor))
            and 1 <= self.output_divider <= 128
        )


@dataclass(frozen=True)
class Ice40Pll:
    """SB_PLL40: `hz = reference_hz (divf + 1) / ((divr + 1) 2**divq)`.

    References
    ----------
    Lattice FPGA-DS-02008, sysCLOCK PLL timing; FPGA-TN-02052.
    """

    reference_hz: int
    divr: int
    divf: int
    divq: int

    @property
    def hz(self) -> Fraction:
        """Hertz of the circuit's clock."""
        return self.vco_hz / (1 << self.divq)

    @property
    def compared_hz(self) -> Fraction:
        """Hertz at the phase detector."""
        return Fraction(self.reference_hz, self.divr + 1)

    @property
    def vco_hz(self) -> Fraction:
        """Hertz of the oscillator."""
        return self.compared_hz * (self.divf + 1)

    @property
    def filter_range(self) -> int:
        """Range of the loop filter, by the frequency at the phase detector."""
        limits = (17, 26, 44, 66, 101)
        return 1 + sum(self.compared_hz >= limit * MHZ for limit in limits)

    @property
    def allowed(self) -> bool:
        """Whether all is within the device's limits."""
        return (
            10 * MHZ <= self.reference_hz <= 133 * MHZ
            and 10 * MHZ <= self.compared_hz <= 133 * MHZ
            and 533 * MHZ <= self.vco_hz <= 1066 * MHZ
            and 16 * MHZ <= self.hz <= 275 * MHZ
            and 0 <= self.divr <= 15
            and 0 <= self.divf <= 127
            and 1 <= self.divq <= 6
        )


@dataclass(frozen=True)
class GowinPll:
    """rPLL: `hz = reference_hz (feedback + 1) / (input + 1)`, its oscillator `divider` times that.

    The limits are those that devices of GW1N and of GW2A have in common.

    References
    ----------
    Gowin UG286; DS117, DS226, PLL specifications.
    """

    reference_hz: int
    input: int
    feedback: int
    divider: int

    DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)

    @property
    def hz(self) -> Fraction:
        """Hertz of the circuit's clock."""
        return self.compared_hz * (self.feedback + 1)

    @property
    def compared_hz(self) -> Fraction:
        """Hertz at the phase detector."""
        return Fraction(self.reference_hz, self.input + 1)

    @property
    def vco_hz(self) -> Fraction:
        """Hertz of the oscillator."""
        return self.hz * self.divider

    @property
    def allowed(self) -> bool:
        """Whether all is within the device's limits."""
        return (
            3 * MHZ <= self.reference_hz <= 400 * MHZ
            and 3 * MHZ <= self.compared_hz <= 400 * MHZ
            and 500 * MHZ <= self.vco_hz <= 1200 * MHZ
            and Fraction(390625, 100000) * MHZ <= self.hz <= 600 * MHZ
            and 0 <= self.input <= 63
            and 0 <= self.feedback <= 63
            and self.divider in self.DIVIDERS
        )


Pll = Ecp5Pll | Ice40Pll | GowinPll


def settings(family: str, reference_hz: int) -> Iterator[Pll]:
    """Every setting of a family's PLL that its limits allow."""
    candidates = {"ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin}[family]
    return (pll for pll in candidates(reference_hz) if pll.allowed)


def _ecp5(hz: int) -> Iterator[Pll]:
    for divider in range(1, hz // (10 * MHZ) + 1):
        for factor in range(-(-400 * MHZ * divider // hz), 800 * MHZ * divider // hz + 1):
            for output in range(1, 129):
                yield Ecp5Pll(hz, divider, factor, output)


def _ice40(hz: int) -> Iterator[Pll]:
    for divr in range(min(16, hz // (10 * MHZ))):
        for divf in range(128):
            for divq in range(1, 7):
                yield Ice40Pll(hz, divr, divf, divq)


def _gowin(hz: int) -> Iterator[Pll]:
    for divider in range(min(64, hz // (3 * MHZ))):
        for feedback in range(64):
            for output in GowinPll.DIVIDERS:
                yield GowinPll(hz, divider, feedback, output)


def clock_below(family: str, reference_hz: int, hz: float) -> Crystal | Pll:
    """Return the fastest clock of at most `hz`: the crystal's own, or one of the PLL.

    Among equal clocks, that with the fastest phase detector, then with the fastest oscillator.

    Raises
    ------
    CompileError
        If the board can make none so slow.
    """
    crystal = [Crystal(reference_hz)] if reference_hz <= hz else []
    slow = [pll for pll in settings(family, reference_hz) if pll.hz <= hz]
    best = max(slow, key=lambda pll: (pll.hz, pll.compared_hz, pll.vco_hz), default=None)
    if crystal and (best is None or best.hz <= reference_hz):
        return crystal[0]
    if best is None:
        least = min((pll.hz for pll in settings(family, reference_hz)), default=Fraction(10**12))
        least = min(least, Fraction(reference_hz))
        wanted = f"{hz / MHZ:.4g} MHz"
        raise CompileError(f"clock must be {float(least) / MHZ:.4g} MHz or more, not {wanted}")
    return best
